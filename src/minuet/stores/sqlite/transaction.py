"""What a reaction is given of a SQLite store: SQL in the transaction that records its delivery."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

import msgspec

from minuet.errors import TransactionLost
from minuet.ports.transaction import SCALARS, Parameters, not_yours, over

T = TypeVar("T")


class SqliteTransaction:
    """What a reaction is given: SQL on the connection, while its transaction is open."""

    __slots__ = ("_connection", "_execute")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._execute: Callable[..., sqlite3.Cursor] = connection.execute

    async def execute(self, sql: str, params: Parameters = ()) -> int:
        try:
            return self._execute(sql, params).rowcount
        except sqlite3.DatabaseError as error:
            self._refuse(error, sql)
            raise

    async def fetch(self, into: type[T], sql: str, params: Parameters = ()) -> list[T]:
        try:
            cursor = self._execute(sql, params)
        except sqlite3.DatabaseError as error:
            self._refuse(error, sql)
            raise
        rows = cursor.fetchall()
        if into in SCALARS:
            return [msgspec.convert(row[0], into, strict=False) for row in rows]
        names = [column[0] for column in cursor.description]
        return [msgspec.convert(dict(zip(names, row, strict=True)), into, strict=False) for row in rows]

    async def fetch_one(self, into: type[T], sql: str, params: Parameters = ()) -> T | None:
        rows = await self.fetch(into, sql, params)
        return rows[0] if rows else None

    def _refuse(self, error: sqlite3.DatabaseError, sql: str) -> None:
        """Say in prose what was not the reaction's to do, and let nothing more happen outside a transaction."""
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_AUTH:
            raise not_yours(repr(sql)) from None
        if self._connection is not None and not self._connection.in_transaction:
            connection = self._connection
            self.end()
            refuse_lost(connection)

    def end(self) -> None:
        """The transaction is over; a reaction that kept this object is told so."""
        self._connection = None
        self._execute = _over


def refuse_lost(connection: sqlite3.Connection) -> None:
    """Raise TransactionLost where a statement of the reaction has taken back more than itself."""
    if not connection.in_transaction:
        raise TransactionLost(
            "A statement of the reaction took back the whole transaction (INSERT OR ROLLBACK, ON CONFLICT ROLLBACK or "
            "RAISE(ROLLBACK)), which others share. Use ABORT, and raise to take back what the reaction has written."
        )


def _over(sql: str, params: object = ()) -> sqlite3.Cursor:  # noqa: ARG001  # refused unseen
    raise over(sql)
