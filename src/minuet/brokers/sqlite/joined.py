"""The SQLite log as part of a store's transactions on the same file: taking and publishing commit with its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, cast

from minuet.brokers.sqlite.log import LARGEST_BYTES, READ_AHEAD, SQL, append, delivery_of, position_of, row_of
from minuet.databases.json_columns import text_of
from minuet.databases.sqlite import Database
from minuet.ports.broker import Delivery, Group, Message, never_provisioned, refuse_large
from minuet.ports.store import Emission, Unit


class _Changes(Protocol):
    """What the joined half knows of a transaction whose connection is in another thread."""

    async def change(self, sql: str, rows: Sequence[tuple[object, ...]]) -> int: ...


class SqliteJoinedBroker:
    """The log as part of a store's transactions on the same file."""

    answers_late: ClassVar[bool] = False

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: list[SqliteJoinedSubscription] = []

    def subscribe(self, group: Group, wake: Callable[[], None]) -> SqliteJoinedSubscription:
        subscription = SqliteJoinedSubscription(self._database, group, wake)
        self._subscriptions.append(subscription)
        return subscription

    async def publish(self, unit: Emission, messages: Sequence[Message]) -> int:
        connection = unit.native
        if not isinstance(connection, sqlite3.Connection):
            refuse_large(messages, LARGEST_BYTES)
            changed = await cast("_Changes", unit).change(SQL["publish"], [row_of(message) for message in messages])
            return len(messages) - changed
        before, absorbed = append(connection, messages)

        def committed() -> None:
            # Straight from memory to the groups of this process, when nothing stands between in the log.
            exact = None if absorbed else before
            topics = {message.topic for message in messages}
            for subscription in self._subscriptions:
                subscription.offer(exact, messages, topics)

        unit.after_commit(committed)
        unit.wake_others()
        return absorbed

    def came(self, topics: set[str]) -> None:
        """Of these topics this process has committed something outside the store's transactions."""
        for subscription in self._subscriptions:
            subscription.offer(None, (), topics)


class SqliteJoinedSubscription:
    """One group's stream inside a store's transactions.

    `_ahead` holds deliveries after `_position`, without a gap up to `_loaded`. The position in the file decides: when
    another process has moved it, what was read ahead is dropped. `_unseen` says that this process has committed what it
    did not hand on exactly; `_uncertain`, that a taking has not committed: if it never does, its reading was of rows
    that may never be.
    """

    def __init__(self, database: Database, group: Group, wake: Callable[[], None]) -> None:
        self._database = database
        self._group = group
        self._topics = frozenset(group.topics)
        self._topics_text = text_of(group.topics)
        self._ahead: list[Delivery] = []
        self._position = -1
        self._loaded: int = -1
        self._unseen = True
        self._uncertain = False
        self._version = -1
        self._wake = wake
        database.listen(wake)

    def __repr__(self) -> str:
        return f"<SqliteJoinedSubscription {self._group.name} at {self._position}, {len(self._ahead)} ahead>"

    def offer(self, before: int | None, messages: Sequence[Message], topics: set[str]) -> None:
        """These were just committed by this process, right after `before` in the log (None: not exactly)."""
        relevant = not self._topics.isdisjoint(topics)
        if before is not None and self._loaded == before and len(self._ahead) < READ_AHEAD:
            if relevant:
                wanted = self._topics
                self._ahead += [
                    Delivery(m.topic, m.key, m.id, m.source, m.headers, m.body, seq)
                    for seq, m in enumerate(messages, before + 1)
                    if m.topic in wanted
                ]
            self._loaded = before + len(messages)
        elif relevant:
            self._unseen = True
        if relevant:
            self._wake()

    async def ready(self) -> bool:
        version = self._database.foreign_version()
        if self._uncertain or (not self._ahead and (self._unseen or version != self._version)):
            self._unseen = False
            self._version = version
            found = await self._database.read(SQL["position_and_last"], (self._group.name,))
            if not found:
                raise never_provisioned(self._group, f"SQLite at {self._database.path}")
            [(position, last)] = found
            assert isinstance(position, int)
            assert isinstance(last, int)
            self._found_at(position)
            if last > self._loaded:
                rows = await self._database.read(SQL["read"], (self._loaded, self._topics_text, READ_AHEAD))
                self._extend(rows, last)
        return bool(self._ahead)

    def _found_at(self, position: int) -> None:
        """The file says that this is the position: drop what was read ahead unless it follows on that for certain."""
        if self._uncertain or position != self._position:
            nothing_is_dropped = not self._ahead and not self._uncertain and position > self._position
            self._loaded = max(self._loaded, position) if nothing_is_dropped else position
            self._ahead = []
            self._position = position
            self._uncertain = False

    def _extend(self, rows: Sequence[Sequence[Any]], last: int) -> None:
        """Read ahead. `last` was the log's end a moment before: rows that came after it are among these too."""
        self._ahead += [delivery_of(row) for row in rows]
        newest = self._ahead[-1].token if rows else self._loaded
        self._loaded = max(last, newest)
        if len(rows) == READ_AHEAD:
            self._loaded = newest
            self._unseen = True

    async def enter(self, unit: Unit) -> None:
        """Whoever writes a SQLite file is alone."""

    async def take(self, unit: Unit, limit: int) -> Sequence[Delivery]:
        connection = unit.native
        assert isinstance(connection, sqlite3.Connection)
        self._found_at(position_of(connection, self._group, self._database))
        if not self._ahead:
            [(last,)] = connection.execute(SQL["last"]).fetchall()
            if last is None or last <= self._loaded:
                return ()
            self._extend(
                connection.execute(SQL["read"], (self._loaded, self._topics_text, READ_AHEAD)).fetchall(),
                last,
            )
        taken, self._ahead = self._ahead[:limit], self._ahead[limit:]
        self._uncertain = True
        unit.after_commit(self._committed)
        if taken:
            self._position = taken[-1].token
            connection.execute(SQL["move"], (self._position, self._group.name))
        return taken

    def _committed(self) -> None:
        self._uncertain = False
