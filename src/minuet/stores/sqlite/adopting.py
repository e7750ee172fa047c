"""The user's own SQLite transaction, joined by what is emitted in it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from minuet.databases.peeling import Peeled, peel
from minuet.databases.sqlite import Database
from minuet.errors import StoreUnavailable
from minuet.ports.broker import Message
from minuet.ports.store import Emission
from minuet.stores.sqlite.rows import SQL
from minuet.stores.sqlite.unit import SqliteUnit, owed_rows

FILES = "PRAGMA database_list"
LEGACY = -1
"""What `sqlite3.Connection.autocommit` is where `isolation_level` says whether a statement begins a transaction."""


class SqliteAdopted:
    """A user's transaction on a connection that lives in a thread of its own, as far as emitting goes."""

    def __init__(self, native: Any) -> None:
        self.native: object = native
        self._connection = native
        self.outbox = self

    async def change(self, sql: str, rows: Sequence[tuple[object, ...]]) -> int:
        """Perform a statement for each row; how many rows it changed."""
        cursor = await self._connection.executemany(sql, rows)
        try:
            return int(cursor.rowcount)
        finally:
            await cursor.close()

    async def owe(self, messages: Sequence[Message], at: float) -> None:
        await self.change(SQL["outbox_owe"], owed_rows(messages, at))

    def wake_others(self) -> None:
        """They see that the file has changed."""

    def after_commit(self, callback: Callable[[], None]) -> None:
        """The commit is the user's."""


class SqliteAdoption:
    """Joins users' transactions to one file."""

    taken: ClassVar[tuple[str, ...]] = ("sqlite3.Connection", "aiosqlite.Connection")

    def __init__(self, database: Database) -> None:
        self._database = database

    async def adopt(self, native: Any, *, sync: bool) -> Emission:
        """The user's transaction. Raises StoreUnavailable in prose."""
        peeled = await peel(native, sync=sync, others=self._other)
        driver = peeled.driver
        if peeled.kind not in self.taken:
            raise self._other(f"{peeled.call} was given a {peeled.given} on {peeled.kind}")
        self._refuse_elsewhere(peeled, await self._file(peeled))
        with peeled.trouble():
            legacy = getattr(driver, "autocommit", LEGACY) == LEGACY
            begins = driver.isolation_level is not None if legacy else driver.autocommit is False
            inside = driver.in_transaction
        if not inside and not begins:
            peeled.refuse_outside()
        return SqliteUnit(driver, self._database) if peeled.kind == "sqlite3.Connection" else SqliteAdopted(driver)

    async def _file(self, peeled: Peeled) -> str:
        """The path of the file, empty for a database in memory."""
        if peeled.core is not None:
            row = await peeled.begun(FILES)
            assert row is not None
            return str(row[2])
        with peeled.trouble():
            if isinstance(peeled.driver, sqlite3.Connection):
                rows = peeled.driver.execute(FILES).fetchall()
            else:
                rows = list(await peeled.driver.execute_fetchall(FILES))
        return str(next(row[2] for row in rows if row[1] == "main"))

    def _refuse_elsewhere(self, peeled: Peeled, file: str) -> None:
        path = self._database.path
        if path is None or not file or not os.path.samefile(file, path):
            raise StoreUnavailable(
                f"{peeled.call} was given a {peeled.given} to {file or 'a database in memory'}, and this service keeps "
                f"its events in {path or 'memory'}. One transaction cannot span two databases."
            )

    def _other(self, what: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{what}, and this service keeps its events in SQLite ({self._database.path or 'in memory'}). Give it what "
            "your transaction is on: a sqlite3.Connection, an aiosqlite.Connection, or SQLAlchemy's Session, "
            "AsyncSession, Connection or AsyncConnection on one of them."
        )
