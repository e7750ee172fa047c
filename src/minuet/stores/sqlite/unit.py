"""One transaction of a SQLite store, with its tables by subject."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from types import TracebackType

from minuet.databases.json_columns import headers_text, text_of
from minuet.databases.sqlite import Database, Guard, GuardedConnection
from minuet.ports.broker import Message
from minuet.ports.store import LEASE_SECONDS, Owed
from minuet.stores.sqlite.letters import SqliteDeadLetters
from minuet.stores.sqlite.parking import SqliteParking
from minuet.stores.sqlite.rows import SQL
from minuet.stores.sqlite.transaction import SqliteTransaction, refuse_lost

# Not as a reaction would write them: SQLite asks for permission when it first sees a statement, and these are ours.
MARK = "SAVEPOINT minuet_turn -- the turn"
RELEASE = "RELEASE minuet_turn -- the turn"
UNDO = "ROLLBACK TO minuet_turn -- the turn"
TURNS_AHEAD = 16
"""A mark costs as much as half a row; of sixteen turns a failing one makes the others run twice."""


class SqliteUnit:
    """One transaction, with the store's tables by subject."""

    answers_ahead = False

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self.native = connection
        self._guard = connection.guard if isinstance(connection, GuardedConnection) else Guard()
        self.transaction = SqliteTransaction(connection)
        self.inbox = SqliteInbox(connection)
        self.outbox = SqliteOutbox(connection, self.wake_others)
        self.parking = SqliteParking(connection, database)
        self.dead_letters = SqliteDeadLetters(connection, self.parking, self.wake_others)
        self.counters = SqliteCounters(connection)
        self.callbacks: list[Callable[[], None]] = []
        self.wakes_neighbours = False
        self._marked = 0
        """How many callbacks there were at the mark."""

    async def one_at_a_time(self) -> None:
        """A unit is alone with the file from its beginning: it begins with SQLite's write lock."""

    async def mark(self) -> None:
        self.native.execute(MARK)
        self._guard.reacting = True
        self._marked = len(self.callbacks)

    async def keep(self) -> None:
        self._guard.reacting = False
        try:
            self.native.execute(RELEASE)
        except sqlite3.OperationalError:
            refuse_lost(self.native)
            raise

    async def undo(self) -> None:
        self._guard.reacting = False
        refuse_lost(self.native)
        self.native.execute(UNDO)
        self.native.execute(RELEASE)
        del self.callbacks[self._marked :]

    def end(self) -> None:
        """The round is over, however it went."""
        self._guard.reacting = False
        self.transaction.end()

    @property
    def turns_ahead(self) -> int:
        return 0 if self._guard.savepoints else TURNS_AHEAD

    def run_ahead(self) -> None:
        """Statements are performed as they are asked for."""

    async def caught_up(self) -> bool:
        return not self._guard.savepoints

    def keep_ahead(self) -> bool:
        return False

    @property
    def commit_proves(self) -> bool:
        return False

    def wake_others(self) -> None:
        self.wakes_neighbours = True

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


class SqliteInbox:
    """What each consumer has already had."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def seen(self, consumer: str, identities: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        # The JSON functions of older SQLite versions end a text at a NUL.
        odd = [(consumer, *identity) for identity in identities if "\0" in identity[0] or "\0" in identity[1]]
        execute = self._connection.execute
        found = execute(SQL["inbox_seen"], {"consumer": consumer, "identities": text_of(identities)}).fetchall()
        found += [row for one in odd for row in execute(SQL["inbox_seen_one"], one)]
        return {(str(source), str(event_id)) for source, event_id in found}

    async def remember(self, consumer: str, identities: Sequence[tuple[str, str]], at: float) -> set[tuple[str, str]]:
        fresh = set(identities) - await self.seen(consumer, identities)
        self._connection.executemany(
            SQL["inbox_remember"], [(consumer, source, event_id, at) for source, event_id in sorted(fresh)]
        )
        return fresh


class SqliteOutbox:
    """What this file's services owe a broker elsewhere."""

    def __init__(self, connection: sqlite3.Connection, wake_others: Callable[[], None]) -> None:
        self._connection = connection
        self._wake_others = wake_others

    async def owe(self, messages: Sequence[Message], at: float) -> None:
        self._connection.executemany(SQL["outbox_owe"], owed_rows(messages, at))
        self._wake_others()

    async def owe_held(
        self,
        messages: Sequence[Message],
        at: float,
        *,
        series: int,  # nothing is held from its birth: a claim costs little here
        lease_seconds: float = LEASE_SECONDS,
    ) -> Callable[[], Sequence[Owed]]:
        await self.owe(messages, at)
        return tuple


def owed_rows(messages: Sequence[Message], at: float) -> list[tuple[object, ...]]:
    """Messages as rows of the outbox."""
    return [(m.topic, m.key, m.id, m.source, headers_text(m.headers), m.body, at) for m in messages]


class SqliteCounters:
    """Durable counts of what is rare."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def add(self, service: str, name: str, count: int) -> None:
        self._connection.execute(SQL["count"], (service, name, count))


class SqliteScope:
    """A store transaction as a context."""

    def __init__(self, database: Database, *, alone: bool) -> None:
        self._database = database
        self._alone = alone

    async def __aenter__(self) -> SqliteUnit:
        queue = self._database.queue
        await queue.acquire(alone=self._alone)
        self._unit = SqliteUnit(queue.connection, self._database)
        return self._unit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unit = self._unit
        unit.end()
        callbacks = unit.callbacks
        if unit.wakes_neighbours:
            callbacks.append(self._database.wake_neighbours)
        await self._database.queue.release(commit=error is None, callbacks=callbacks, alone=self._alone)
