"""The user's own PostgreSQL transaction, joined by what is emitted in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg

from minuet.databases.peeling import Peeled, peel
from minuet.databases.postgres import CHANNEL, ELSEWHERE, PostgresDatabase
from minuet.databases.postgres.borrowed import TAKEN, Borrowed
from minuet.errors import StoreUnavailable
from minuet.ports.broker import Message
from minuet.stores.postgres.rows import SQL
from minuet.stores.postgres.unit import owed_columns

ADOPT = f"SELECT ({SQL['whereabouts'].strip().rstrip(';')}), pg_notify('{CHANNEL}', '{ELSEWHERE}')"
"""Which database a transaction is in, and in the same breath, who listens is told when it commits."""


class Whereabouts(msgspec.Struct, frozen=True):
    """Where a store's tables are."""

    database: str
    """One of one server since its start, whatever address leads there; none of two clones has the other's."""
    schema: str


class PostgresAdopted:
    """A user's transaction as far as emitting goes."""

    def __init__(self, native: object, line: Borrowed) -> None:
        self.native = native
        self.line = line
        self.outbox = self

    async def owe(self, messages: Sequence[Message], at: float) -> None:
        await self.line.send(SQL["outbox_owe"], *owed_columns(messages), at)

    def wake_others(self) -> None:
        """They were told with `ADOPT`, this process too."""

    def after_commit(self, callback: Callable[[], None]) -> None:
        """The commit is the user's."""


class PostgresAdoption:
    """Joins users' transactions to one database."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._here: Whereabouts | None = None

    async def look_around(self) -> None:
        """Learn where this store's tables are."""
        [(database, schema)] = await self._database.read(SQL["own_whereabouts"])
        self._here = Whereabouts(database, schema)

    async def adopt(self, native: Any, *, sync: bool) -> PostgresAdopted:
        """The user's transaction. Raises StoreUnavailable in prose."""
        peeled = await peel(native, sync=sync, others=self._other)
        if peeled.kind not in TAKEN:
            raise self._other(f"{peeled.call} was given a {peeled.given} on {peeled.kind}")
        if self._here is None:
            raise StoreUnavailable(f"The store in PostgreSQL ({self._database.place.shown}) was never opened.")
        line = Borrowed(peeled, self._here.schema)
        there, _ = await line.row(ADOPT)
        if there != self._here.database:
            await self._look_again(sync=sync)
            if there != self._here.database:
                raise self._elsewhere(peeled)
        return PostgresAdopted(native, line)

    async def _look_again(self, *, sync: bool) -> None:
        """The server may have been started again since."""
        sql = SQL["own_whereabouts"].encode()
        if sync:
            with psycopg.connect(self._database.place.url, connect_timeout=4) as connection:
                found = connection.execute(sql).fetchone()
        else:
            async with await self._database.connect() as waiting:
                found = await (await waiting.execute(sql)).fetchone()
        assert found is not None
        self._here = Whereabouts(*found)

    def _other(self, what: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{what}, and this service keeps its events in PostgreSQL ({self._database.place.shown}). Give it what "
            "your transaction is on: a psycopg.Connection or AsyncConnection, an asyncpg.Connection, or SQLAlchemy's "
            "Session, AsyncSession, Connection or AsyncConnection on postgresql+psycopg or postgresql+asyncpg."
        )

    def _elsewhere(self, peeled: Peeled) -> StoreUnavailable:
        return StoreUnavailable(
            f"{peeled.call} was given a {peeled.given} to another database, and this service keeps its events in "
            f"PostgreSQL ({self._database.place.shown}). One transaction cannot span two databases."
        )
