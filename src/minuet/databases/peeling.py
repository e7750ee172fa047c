"""What a user's transaction is on: the driver's own connection inside what `emit(tx=...)` was given.

Types are known by their names, so that nothing is imported which the user has not imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from minuet.errors import StoreUnavailable

SESSIONS = ("sqlalchemy.Session", "sqlalchemy.AsyncSession")
CORES = ("sqlalchemy.Connection", "sqlalchemy.AsyncConnection")
SCOPED = ("sqlalchemy.scoped_session", "sqlalchemy.async_scoped_session")
DRIVERS = (
    "psycopg.Connection",
    "psycopg.AsyncConnection",
    "asyncpg.Connection",
    "asyncpg.PoolConnectionProxy",
    "sqlite3.Connection",
    "aiosqlite.Connection",
)
AWAITED = frozenset(
    {
        "sqlalchemy.AsyncSession",
        "sqlalchemy.AsyncConnection",
        "sqlalchemy.async_scoped_session",
        "psycopg.AsyncConnection",
        "asyncpg.Connection",
        "asyncpg.PoolConnectionProxy",
        "aiosqlite.Connection",
    }
)
KNOWN = frozenset((*SESSIONS, *CORES, *SCOPED, *DRIVERS))


class Peeled(msgspec.Struct, frozen=True):
    """A user's transaction."""

    call: str
    """What it was given to, as errors say it."""
    given: str
    """What it was, such as `sqlalchemy.Session`; also where it is of a class derived from that."""
    kind: str
    """What the driver's own connection is."""
    driver: Any
    core: Any = None
    """SQLAlchemy's connection around it."""

    async def begun(self, sql: str) -> tuple[Any, ...] | None:
        """Perform a query without parameters through SQLAlchemy, which begins its transaction if none is; one row."""
        with self.trouble():
            result = self.core.exec_driver_sql(sql)
            row = (await result if inspect.isawaitable(result) else result).first()
            return None if row is None else tuple(row)

    def trouble(self) -> Trouble:
        """Turn what the driver or SQLAlchemy raises into StoreUnavailable."""
        return Trouble(self.call, self.given)

    def refuse_outside(self) -> None:
        """Raise StoreUnavailable, because each statement would commit by itself."""
        raise StoreUnavailable(
            f"{self.call} was given a {self.given} on which no transaction is open, as it commits each statement by "
            "itself (autocommit). The event would not be one with your rows. Begin a transaction, and emit inside it."
        )


class Trouble:
    """A context in which a database's error says that the user's transaction cannot be joined."""

    def __init__(self, call: str, given: str) -> None:
        self._call = call
        self._given = given

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, StoreUnavailable):
            said = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
            raise StoreUnavailable(
                f"{self._call} was given a {self._given} whose transaction cannot go on: {said}. It is closed, has "
                "failed or is in use elsewhere. Roll it back, and begin a new one for your rows and the event."
            ) from error


def name_of(native: object) -> str | None:
    """The name under which a type or one that it derives from is known here."""
    names = (f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in type(native).__mro__)
    return next((name for name in names if name in KNOWN), None)


async def peel(native: Any, *, sync: bool, others: Callable[[str], StoreUnavailable]) -> Peeled:
    """What the transaction is on. With `sync` nobody can wait, and what is awaited is refused.

    `others` makes the error for what is none of the known types, or on a driver that is not; it is given its name.
    Raises StoreUnavailable.
    """
    call = "emit_sync(tx=...)" if sync else "emit(tx=...)"
    name = name_of(native)
    if name is None:
        raise others(f"{call} was given a {type(native).__qualname__}")
    if sync and name in AWAITED:
        raise StoreUnavailable(
            f"{call} was given a {name}, which is awaited. Write `await service.emit(event, tx=...)` where you await "
            "your own statements."
        )
    if name in DRIVERS:
        return Peeled(call, name, name, native)
    with Trouble(call, name):
        core = await _core(native, name)
        if core.dialect.is_async and name not in AWAITED:
            raise StoreUnavailable(
                f"{call} was given the {name} inside run_sync(). Emit beside it: `await service.emit(event, tx=...)` "
                "with the AsyncSession or AsyncConnection."
            )
        pooled = await core.get_raw_connection() if name in AWAITED else core.connection
        driver = pooled.driver_connection
    kind = name_of(driver)
    if kind is None:
        raise others(f"{call} was given a {name} on the driver {core.dialect.driver}")
    return Peeled(call, name, kind, driver, core)


async def _core(native: Any, name: str) -> Any:
    """SQLAlchemy's connection of a session."""
    if name in SCOPED:
        native = native()
    elif name in CORES:
        return native
    core = native.connection()
    return await core if inspect.isawaitable(core) else core
