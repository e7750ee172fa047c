"""A user's own PostgreSQL connection: statements in the transaction that is open on it, sent by its own driver."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from minuet.databases.peeling import Peeled
from minuet.databases.postgres.encoding import Ready, unpacked
from minuet.errors import StoreUnavailable

TAKEN = ("psycopg.Connection", "psycopg.AsyncConnection", "asyncpg.Connection", "asyncpg.PoolConnectionProxy")


class Changed(Protocol):
    """What a statement came to."""

    @property
    def command_tuples(self) -> int | None:
        """How many rows it changed."""
        ...


class Sending(Protocol):
    """On which emitted events are written: one of minuet's own lines, or a user's connection."""

    def send(self, sql: str, *values: object) -> Awaitable[Changed]:
        """Perform a statement with `$1` for its values."""
        ...


class _Count:
    """How many rows a statement changed."""

    __slots__ = ("command_tuples",)

    def __init__(self, command_tuples: int) -> None:
        self.command_tuples = command_tuples


class Borrowed:
    """A user's transaction, with minuet's tables in the schema of this name."""

    def __init__(self, peeled: Peeled, schema: str) -> None:
        self.peeled = peeled
        quoted = schema.replace('"', '""')
        self._into = f'INSERT INTO "{quoted}".minuet_'

    def send(self, sql: str, *values: object) -> Awaitable[Changed]:
        """Perform a statement. Where minuet's tables lie is not for the user's search path to say."""
        qualified = sql.replace("INSERT INTO minuet_", self._into)
        return self._perform(qualified, [unpacked(v) if isinstance(v, Ready) else v for v in values])

    async def _perform(self, sql: str, values: list[object]) -> _Count:
        driver, kind = self.peeled.driver, self.peeled.kind
        if kind.startswith("asyncpg"):
            status: str = await driver.execute(sql, *values)
            return _Count(int(status.rpartition(" ")[2]))
        text = sql.encode()
        if kind == "psycopg.Connection":
            with psycopg.RawCursor(driver) as cursor:
                return _Count(cursor.execute(text, values).rowcount)
        async with psycopg.AsyncRawCursor(driver) as waiting:
            return _Count((await waiting.execute(text, values)).rowcount)

    async def row(self, sql: str) -> tuple[Any, ...]:
        """The first row of a query without parameters, in the user's transaction, which begins if their driver would
        begin it. Raises StoreUnavailable outside one.
        """
        peeled = self.peeled
        if peeled.core is None:
            self._refuse_outside()
            with peeled.trouble():
                return await self._first(sql)
        found = await peeled.begun(sql)
        self._refuse_outside()
        return found or ()

    async def _first(self, sql: str) -> tuple[Any, ...]:
        driver, kind = self.peeled.driver, self.peeled.kind
        if kind.startswith("asyncpg"):
            return tuple(await driver.fetchrow(sql))
        text = sql.encode()
        if kind == "psycopg.Connection":
            with psycopg.RawCursor(driver, row_factory=tuple_row) as cursor:
                return cursor.execute(text).fetchone() or ()
        async with psycopg.AsyncRawCursor(driver, row_factory=tuple_row) as waiting:
            return await (await waiting.execute(text)).fetchone() or ()

    def _refuse_outside(self) -> None:
        peeled, driver = self.peeled, self.peeled.driver
        with peeled.trouble():
            if peeled.kind.startswith("asyncpg"):
                outside = not driver.is_closed() and not driver.is_in_transaction()
            else:
                status = driver.info.transaction_status
                if driver.pgconn.pipeline_status:
                    raise StoreUnavailable(
                        f"{peeled.call} was given a connection inside `with connection.pipeline()`. Emit after that "
                        "block, in the same transaction."
                    )
                outside = driver.autocommit and status == TransactionStatus.IDLE
        if outside:
            peeled.refuse_outside()
