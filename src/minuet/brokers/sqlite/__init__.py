"""The SQLite broker: an append-only log in a file, with a position for each group.

Joined with the store of the same file, taking a delivery moves the group's position inside the reaction's own
transaction, and emitting appends to the log inside it: there is nothing to acknowledge and nothing to relay. The
position is the inbox, and the unique identity of the log absorbs what is published twice.

Alone, with a store elsewhere, deliveries are claimed and acknowledged as on any broker.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import ClassVar

from minuet.brokers.sqlite.joined import SqliteJoinedBroker
from minuet.brokers.sqlite.log import LARGEST_BYTES, SQL, append, delivery_of, group_and_number
from minuet.brokers.sqlite.subscription import SqliteSubscription
from minuet.contracts.correlation import belongs, shared_start
from minuet.databases.json_columns import text_of
from minuet.databases.migrations import steps_of
from minuet.databases.sqlite import Database, Row, SqlitePlace
from minuet.databases.sqlite.examination import examine, refuse_read_only, refuse_stranger
from minuet.ports.broker import Attributes, Capabilities, Change, Group, Logged, Message, Progress, changed_groups
from minuet.ports.examined import Examined
from minuet.ports.store import Store

__all__ = ["SqliteBroker"]

TRIM_STEP = 2000
"""About how many messages one transaction forgets: some milliseconds of work."""


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
        max_payload_bytes=LARGEST_BYTES,
        traceable=True,
    )

    def __init__(self, path: str, *, synchronous: str = "FULL") -> None:
        self.database = Database(path, synchronous=synchronous)
        self._subscriptions: list[SqliteSubscription] = []
        self._joined: SqliteJoinedBroker | None = None
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
        else:
            refuse_read_only(self.database.path)
        await self.database.open()
        await self.database.prepare("broker", steps_of(SQL), create=create)

    async def close(self) -> None:
        for subscription in list(self._subscriptions):
            await subscription.close()
        await self.database.close()

    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        known = [group_and_number(row)[0] for row in await self.database.read(SQL["positions"])]
        return changed_groups(groups, known)

    async def provision(self, groups: Sequence[Group]) -> None:
        async with self.database.writing() as connection:
            connection.executemany(SQL["provision"], [(g.name, g.service, text_of(sorted(g.topics))) for g in groups])

    async def publish(self, messages: Sequence[Message]) -> None:
        async with self.database.writing() as connection:
            append(connection, messages)
        for subscription in self._subscriptions:
            subscription.changed.set()
        if self._joined is not None:
            self._joined.came({message.topic for message in messages})
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
        self._joined = SqliteJoinedBroker(database)
        return self._joined

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
            for group, position in map(group_and_number, connection.execute(SQL["positions"]).fetchall()):
                [(waiting,)] = connection.execute(SQL["next_relevant"], (position, text_of(group.topics))).fetchall()
                if waiting is not None:
                    bound = min(bound, waiting - 1)
                elif position < last:
                    connection.execute(SQL["move"], (last, group.name))
            [(claimed,)] = connection.execute(SQL["oldest_claim"]).fetchall()
            if claimed is not None:
                bound = min(bound, claimed - 1)
            step = connection.execute(SQL["trim_step"], (TRIM_STEP + len(keep),)).fetchone()
            if step is not None:
                bound = min(bound, step[0])
            if keep:
                return connection.execute(SQL["trim_except"], (bound, text_of(sorted(keep)))).rowcount
            return connection.execute(SQL["trim"], (bound,)).rowcount

    async def instance(self, correlation_id: str, *, quick: bool = False) -> list[Logged]:
        rows: list[Row] = []
        values = {"correlation_id": correlation_id}
        if quick and (start := shared_start(correlation_id)) is not None:
            rows = await self.database.read(SQL["instance_by_id"], {**values, "first": start, "beyond": f"{start}~"})
        deliveries = [delivery_of(row) for row in rows or await self.database.read(SQL["instance"], values)]
        claimed = {(str(group), seq) for group, seq in await self.database.read(SQL["claimed"])}
        positions = [group_and_number(row) for row in await self.database.read(SQL["positions"])]
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
        return [Progress(*group_and_number(row)) for row in rows]

    async def examine(self) -> list[Examined]:
        return await examine(self.database)
