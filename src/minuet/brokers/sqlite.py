"""The SQLite broker: an append-only log in a file, with a position for each group.

Joined with the store of the same file, taking a delivery moves the group's position inside the reaction's own
transaction, and emitting appends to the log inside it: there is nothing to acknowledge and nothing to relay. The
position is the inbox, and the unique identity of the log absorbs what is published twice.

Alone, with a store elsewhere, deliveries are claimed and acknowledged as on any broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, ClassVar

import msgspec

from minuet.contracts.correlation import belongs, shared_start
from minuet.databases.examination import examine, refuse_stranger
from minuet.databases.sqlite import Database, Row, SqlitePlace
from minuet.databases.statements import load, split
from minuet.errors import BrokerClosed
from minuet.ports.broker import (
    Attributes,
    Capabilities,
    Delivery,
    Group,
    Headers,
    Logged,
    Message,
    Progress,
    refuse_large,
)
from minuet.ports.examined import Examined
from minuet.ports.store import Store, Unit

SQL = load("minuet.brokers", "sqlite.sql")
READ_AHEAD = 1024
"""How many deliveries a group keeps in memory before they are taken."""
TRIM_STEP = 2000
"""About how many messages one transaction forgets: some milliseconds of work."""
LOOK_SECONDS = 0.25
"""How soon what a dead process held comes to a subscription that waits."""
_headers = msgspec.json.Decoder(dict[str, str])
_extensions = msgspec.json.Decoder(dict[str, str | int | bool])
_topics = msgspec.json.Decoder(tuple[str, ...])


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _row(m: Message) -> tuple[object, ...]:
    """The columns of a message."""
    a = m.headers
    if isinstance(a, Attributes):
        further = _json(dict(a.extensions)) if a.extensions else None
        return (
            m.topic, m.key, m.id, m.source, a.type, a.at, a.correlationid, a.causationid, a.traceparent, further, m.body,
        )  # fmt: skip
    return (m.topic, m.key, m.id, m.source, None, None, None, None, None, None if a is None else _json(dict(a)), m.body)


def _delivery(row: Sequence[Any]) -> Delivery:
    topic, key, event_id, source, kind, at, correlation, causation, traceparent, further, body, seq = row
    headers: Headers
    if kind is not None:
        extensions = None if further is None else _extensions.decode(further)
        headers = Attributes(kind, at, correlation, causation, traceparent, extensions)
    else:
        headers = None if further is None else _headers.decode(further)
    return Delivery(topic, key, event_id, source, headers, body, seq)


class SqliteBroker:
    """A broker in one SQLite file: `sqlite:///orders.db`, relative to the working directory, or four slashes."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        order="key",
        persistent=True,
        replay=True,
        competing=True,
        groups="reaction",
        envelope="columns",
        joins=True,
        max_payload_bytes=1024 * 1024,
        traceable=True,
    )

    def __init__(self, path: str, *, synchronous: str = "FULL") -> None:
        self.database = Database(path, synchronous=synchronous)
        self._subscriptions: list[SqliteSubscription] = []
        self._numbers = count()

    @classmethod
    def from_url(cls, url: str) -> SqliteBroker:
        """The broker of `sqlite:///relative.db` or `sqlite:////absolute.db`."""
        place = SqlitePlace.from_url(url)
        return cls(place.path, synchronous=place.synchronous)

    def __repr__(self) -> str:
        return f"<SqliteBroker {self.database.path}>"

    async def open(self, *, create: bool = True) -> None:
        if not create:
            refuse_stranger(self.database.path, "minuet_log")
        await self.database.open()
        async with self.database.writing() as connection:
            for statement in split(SQL["schema"]):
                connection.execute(statement)

    async def close(self) -> None:
        for subscription in list(self._subscriptions):
            await subscription.close()
        await self.database.close()

    async def provision(self, groups: Sequence[Group]) -> None:
        async with self.database.writing() as connection:
            connection.executemany(SQL["provision"], [(g.name, g.service, _json(sorted(g.topics))) for g in groups])

    async def publish(self, messages: Sequence[Message]) -> None:
        async with self.database.writing() as connection:
            _append(connection, messages)
        for subscription in self._subscriptions:
            subscription.changed.set()
        self.database.wake_neighbours()

    def subscribe(self, group: Group) -> SqliteSubscription:
        owner = f"{self.database.member}/{next(self._numbers)}"
        subscription = SqliteSubscription(self.database, group, owner, self._subscriptions)
        self._subscriptions.append(subscription)
        return subscription

    def joined(self, store: Store) -> SqliteJoinedBroker | None:
        database = store.database
        if not isinstance(database, Database) or database.path != self.database.path:
            return None
        self.database = database
        return SqliteJoinedBroker(database)

    async def trim(self, before: float, now: float, keep: frozenset[str]) -> int:
        async with self.database.writing() as connection:
            connection.execute(SQL["open_bucket"], (now,))
            [(end,)] = connection.execute(SQL["bucket_end"], (before,)).fetchall()
            if end is None:
                return 0
            connection.execute(SQL["drop_buckets"], (before,))
            # The newest message stays, so that the numbering goes on after it.
            [(last,)] = connection.execute(SQL["last"]).fetchall()
            last = last or 1
            bound = min(end, last - 1)
            for consumer, topics, position in connection.execute(SQL["groups"]).fetchall():
                [(waiting,)] = connection.execute(SQL["next_relevant"], (position, topics)).fetchall()
                if waiting is not None:
                    bound = min(bound, waiting - 1)
                elif position < last:
                    connection.execute(SQL["move"], (last, consumer))
            [(claimed,)] = connection.execute(SQL["oldest_claim"]).fetchall()
            if claimed is not None:
                bound = min(bound, claimed - 1)
            step = connection.execute(SQL["trim_step"], (TRIM_STEP + len(keep),)).fetchone()
            if step is not None:
                bound = min(bound, step[0])
            if keep:
                return connection.execute(SQL["trim_except"], (bound, _json(sorted(keep)))).rowcount
            return connection.execute(SQL["trim"], (bound,)).rowcount

    async def instance(self, correlation_id: str, *, quick: bool = False) -> list[Logged]:
        rows: list[Row] = []
        values = {"correlation_id": correlation_id}
        if quick and (start := shared_start(correlation_id)) is not None:
            rows = await self.database.read(SQL["instance_by_id"], {**values, "first": start, "beyond": f"{start}~"})
        deliveries = [_delivery(row) for row in rows or await self.database.read(SQL["instance"], values)]
        claimed = {(str(group), seq) for group, seq in await self.database.read(SQL["claimed"])}
        positions = [_position(row) for row in await self.database.read(SQL["positions"])]
        return [
            Logged(Message(d.topic, d.key, d.id, d.source, d.headers, d.body), d.token, frozenset(
                group.name
                for group, position in positions
                if d.topic in group.topics and (d.token > position or (group.name, d.token) in claimed)
            ))
            for d in deliveries
            if isinstance(d.headers, Attributes) or belongs(correlation_id, d.headers, d.body)
        ]  # fmt: skip

    async def groups(self) -> list[Progress]:
        rows = await self.database.read(SQL["progress"])
        return [Progress(*_position(row)) for row in rows]

    async def examine(self) -> list[Examined]:
        return await examine(self.database)


def _position(row: Sequence[Any]) -> tuple[Group, int]:
    """A group, and a number that was selected beside it."""
    name, service, topics, number = row
    return Group(name, service, _topics.decode(topics)), number


class SqliteSubscription:
    """One group's stream outside a store's transaction: claimed, then acknowledged."""

    def __init__(self, database: Database, group: Group, owner: str, siblings: list[SqliteSubscription]) -> None:
        self._database = database
        self._group = group
        self._topics = _json(group.topics)
        self.owner = owner
        self._siblings = siblings
        self._closed = False
        self._others_hold = False
        self.changed = asyncio.Event()
        database.listen(self.changed.set)

    def __repr__(self) -> str:
        return f"<SqliteSubscription {self._group.name}, {'closed' if self._closed else 'open'}>"

    async def receive(self, limit: int) -> Sequence[Delivery]:
        while not self._closed:
            self.changed.clear()
            if found := await self._claim(limit):
                return found
            # Nobody rings for a process that died; what it held is looked for as long as somebody holds something.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._others_hold else None):
                    await self.changed.wait()
        raise BrokerClosed(f"The subscription of {self._group.name} is closed; nothing more will be received.")

    async def _claim(self, limit: int) -> list[Delivery]:
        name = self._group.name
        async with self._database.writing() as connection:
            claims = connection.execute(SQL["claims"], (name,)).fetchall()
            dead = {owner for *_, owner in claims if owner is not None and not self._alive(owner)}
            elsewhere = [(key, owner) for _, key, owner in claims if owner not in (None, self.owner, *dead)]
            blocked: set[str] = {key for key, _ in elsewhere if key is not None}
            self._others_hold = any(not owner.startswith(f"{self._database.member}/") for _, owner in elsewhere)
            free = [(seq, key) for seq, key, owner in claims if owner is None or owner in dead]
            mine = [seq for seq, key in free if key not in blocked][:limit]
            connection.executemany(SQL["claim_again"], [(self.owner, name, seq) for seq in mine])
            found = [_delivery(row) for row in connection.execute(SQL["read_claimed"], (_json(mine),)).fetchall()]
            if len(found) < limit:
                room = READ_AHEAD - (len(free) - len(mine))
                found += self._claim_new(connection, limit - len(found), blocked, room)
        return found

    def _claim_new(self, connection: sqlite3.Connection, limit: int, blocked: set[str], room: int) -> list[Delivery]:
        """Claim what nobody has had; what is of a blocked key waits its turn, as much of it as there is `room` for."""
        name = self._group.name
        position = _number(connection.execute(SQL["position"], (name,)))
        found: list[Delivery] = []
        while len(found) < limit and room > 0:
            rows = connection.execute(SQL["read"], (position, self._topics, limit - len(found))).fetchall()
            if not rows:
                break
            deliveries = [_delivery(row) for row in rows]
            free = [d for d in deliveries if d.key is None or d.key not in blocked]
            waiting = [d for d in deliveries if d.key is not None and d.key in blocked]
            connection.executemany(SQL["claim"], [(name, d.token, d.key, self.owner) for d in free])
            connection.executemany(SQL["claim"], [(name, d.token, d.key, None) for d in waiting])
            position = deliveries[-1].token
            connection.execute(SQL["move"], (position, name))
            found += free
            room -= len(waiting)
        return found

    def _alive(self, owner: str) -> bool:
        member, _, _ = owner.partition("/")
        if member != self._database.member:
            return self._database.alive(member)
        return any(sibling.owner == owner for sibling in self._siblings)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        await self._end(SQL["acknowledge"], deliveries)

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        await self._end(SQL["release"], deliveries)

    async def _end(self, sql: str, deliveries: Sequence[Delivery]) -> None:
        async with self._database.writing() as connection:
            connection.executemany(sql, [(self._group.name, d.token, self.owner) for d in deliveries])
        for sibling in self._siblings:
            sibling.changed.set()
        self._database.wake_neighbours()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._siblings.remove(self)
        async with self._database.writing() as connection:
            connection.execute(SQL["release_all"], (self._group.name, self.owner))
        self.changed.set()
        for sibling in self._siblings:
            sibling.changed.set()


class SqliteJoinedBroker:
    """The log as part of a store's transactions on the same file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: list[SqliteJoinedSubscription] = []

    def subscribe(self, group: Group, wake: Callable[[], None]) -> SqliteJoinedSubscription:
        subscription = SqliteJoinedSubscription(self._database, group, wake)
        self._subscriptions.append(subscription)
        return subscription

    async def publish(self, unit: Unit, messages: Sequence[Message]) -> int:
        connection = unit.native
        assert isinstance(connection, sqlite3.Connection)
        before, absorbed = _append(connection, messages)

        def committed() -> None:
            # Straight from memory to the groups of this process, when nothing stands between in the log.
            exact = None if absorbed else before
            topics = {message.topic for message in messages}
            for subscription in self._subscriptions:
                subscription.offer(exact, messages, topics)

        unit.after_commit(committed)
        unit.wake_others()
        return absorbed


class SqliteJoinedSubscription:
    """One group's stream inside a store's transactions.

    `_ahead` holds deliveries after `_position`, without a gap up to `_loaded`. The position in the file decides: when
    another process has moved it, what was read ahead is dropped.
    """

    def __init__(self, database: Database, group: Group, wake: Callable[[], None]) -> None:
        self._database = database
        self._group = group
        self._topics = frozenset(group.topics)
        self._topics_text = _json(group.topics)
        self._ahead: list[Delivery] = []
        self._position = -1
        self._loaded: int = -1
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
        if relevant:
            self._wake()

    async def ready(self) -> bool:
        if not self._ahead:
            [(position, last)] = await self._database.read(SQL["position_and_last"], (self._group.name,))
            assert isinstance(position, int)
            assert isinstance(last, int)
            if position < self._position:  # what this process took was rolled back
                self._loaded = position
            self._position = position
            self._loaded = max(self._loaded, position)
            if last > self._loaded:
                rows = await self._database.read(SQL["read"], (self._loaded, self._topics_text, READ_AHEAD))
                self._extend(rows, last)
        return bool(self._ahead)

    def _extend(self, rows: Sequence[Sequence[Any]], last: int) -> None:
        """Read ahead. `last` was the log's end a moment before: rows that came after it are among these too."""
        self._ahead += [_delivery(row) for row in rows]
        newest = self._ahead[-1].token if rows else self._loaded
        self._loaded = newest if len(rows) == READ_AHEAD else max(last, newest)

    async def take(self, unit: Unit, limit: int) -> Sequence[Delivery]:
        connection = unit.native
        assert isinstance(connection, sqlite3.Connection)
        position = _number(connection.execute(SQL["position"], (self._group.name,)))
        if position != self._position:
            self._ahead = []
            self._position = self._loaded = position
        if not self._ahead:
            [(last,)] = connection.execute(SQL["last"]).fetchall()
            if last is None or last <= self._loaded:
                return ()
            self._extend(
                connection.execute(SQL["read"], (self._loaded, self._topics_text, READ_AHEAD)).fetchall(),
                last,
            )
        taken, self._ahead = self._ahead[:limit], self._ahead[limit:]
        if taken:
            self._position = taken[-1].token
            connection.execute(SQL["move"], (self._position, self._group.name))
        return taken


def _append(connection: sqlite3.Connection, messages: Sequence[Message]) -> tuple[int, int]:
    """Append to the log. Returns the number before the first, and how many were absorbed as duplicates."""
    refuse_large(messages, SqliteBroker.capabilities.max_payload_bytes)
    [(before,)] = connection.execute(SQL["last"]).fetchall()
    inserted = connection.executemany(
        SQL["publish"],
        [_row(message) for message in messages],
    ).rowcount
    return before or 0, len(messages) - inserted


def _number(cursor: sqlite3.Cursor) -> int:
    """The one number that a query gives; 0 for none."""
    [(number,)] = cursor.fetchall()
    return int(number or 0)
