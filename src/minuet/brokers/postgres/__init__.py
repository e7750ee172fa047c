"""The PostgreSQL broker: a log in a table, read in the order of its transactions, with a position for each group.

Joined with the store of the same database, taking a delivery moves the group's position inside the reaction's own
transaction, and emitting appends to the log inside it: there is nothing to acknowledge and nothing to relay. The
position is the inbox, and the unique identity of the log absorbs what is published twice.

Alone, with a store elsewhere, deliveries are claimed and acknowledged as on any broker.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import ClassVar

from minuet.brokers.postgres.joined import PostgresJoinedBroker
from minuet.brokers.postgres.log import LARGEST_BYTES, SQL, append, delivery_of, group_of, place_of
from minuet.brokers.postgres.subscription import PostgresSubscription
from minuet.contracts.correlation import belongs, shared_start
from minuet.databases.migrations import steps_of
from minuet.databases.postgres import LOCKS, PostgresDatabase
from minuet.databases.postgres.encoding import texts
from minuet.databases.postgres.examination import alarms, examine
from minuet.databases.postgres.pipelining import Row
from minuet.databases.postgres.place import PostgresPlace
from minuet.databases.postgres.restored import examine_log, refuse_restored
from minuet.ports.broker import Attributes, Capabilities, Change, Group, Logged, Message, Progress, changed_groups
from minuet.ports.examined import Examined
from minuet.ports.store import Store

__all__ = ["PostgresBroker"]

TRIM_STEP = 2000
"""How many messages one transaction forgets: some milliseconds of work."""


class PostgresBroker:
    """A broker in one PostgreSQL database: `postgres://user:password@host/database`."""

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

    def __init__(self, place: PostgresPlace) -> None:
        self.database = PostgresDatabase(place)
        self._subscriptions: list[PostgresSubscription] = []
        self._joined: PostgresJoinedBroker | None = None
        self._numbers = count()

    @classmethod
    def from_url(cls, url: str) -> PostgresBroker:
        """The broker of `postgres://user:password@host/database`, perhaps with `?pool=20` and libpq's options."""
        return cls(PostgresPlace.from_url(url))

    def __repr__(self) -> str:
        return f"<PostgresBroker {self.database.place.shown}>"

    async def open(self, *, create: bool = True) -> None:
        if not create:
            await self.database.refuse_stranger("minuet_log")
        await self.database.open()
        try:
            if create:
                await self.database.refuse_powerless()
            await self.database.prepare_schema("broker", steps_of(SQL), create=create)
            if create:
                await refuse_restored(self.database)
        except BaseException:
            await self.database.close()
            raise

    async def close(self) -> None:
        for subscription in list(self._subscriptions):
            await subscription.close()
        await self.database.close()

    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        return changed_groups(groups, [group_of(row) for row in await self.database.read(SQL["positions"])])

    async def provision(self, groups: Sequence[Group]) -> None:
        # In one order, so that several who do it at once do not wait for each other in a ring.
        async with self.database.writing() as line:
            for group in sorted(groups, key=lambda group: group.name):
                line.post(SQL["provision"], group.name, group.service, texts(sorted(group.topics)))

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        async with self.database.writing(wakes=True) as line:
            await append(line, messages)
        for subscription in self._subscriptions:
            subscription.changed.set()
        if self._joined is not None:
            self._joined.came({message.topic for message in messages})

    def subscribe(self, group: Group) -> PostgresSubscription:
        owner = f"{self.database.member}/{next(self._numbers)}"
        subscription = PostgresSubscription(self.database, group, owner, self._subscriptions)
        self._subscriptions.append(subscription)
        return subscription

    def joined(self, store: Store) -> PostgresJoinedBroker | None:
        database = store.database
        if not isinstance(database, PostgresDatabase) or database.place.url != self.database.place.url:
            return None
        self.database = database
        self._joined = PostgresJoinedBroker(database)
        return self._joined

    async def trim(self, before: float, now: float, keep: frozenset[str]) -> int:
        async with self.database.writing() as line:
            [(mine,)] = await line.rows(SQL["trimming_turn"], LOCKS)
            if not mine:
                return 0
            line.post(SQL["open_bucket"], now)
            line.post(SQL["drop_buckets"], before)
            return await line.changed(SQL["trim"], before, texts(keep), TRIM_STEP)

    async def instance(self, correlation_id: str, *, quick: bool = False) -> list[Logged]:
        read, rows = self.database.read, list[Row]()
        if quick and (start := shared_start(correlation_id)) is not None:
            rows = await read(SQL["instance_by_id"], correlation_id, start, f"{start}~")
        rows = rows or await read(SQL["instance"], correlation_id)
        claimed = {(group, seq) for group, seq in await read(SQL["claimed"])}
        positions = [(group_of(row), (row[3], row[4])) for row in await read(SQL["positions"])]
        found: list[Logged] = []
        for row in rows:
            d, place = delivery_of(row), place_of(row)
            if isinstance(d.headers, Attributes) or belongs(correlation_id, d.headers, d.body):
                awaiting = frozenset(
                    group.name
                    for group, position in positions
                    if d.topic in group.topics and (place > position or (group.name, d.token) in claimed)
                )
                found.append(Logged(Message(d.topic, d.key, d.id, d.source, d.headers, d.body), d.token, awaiting))
        return found

    async def groups(self) -> list[Progress]:
        return [Progress(group_of(row), row[3]) for row in await self.database.read(SQL["progress"])]

    async def alarms(self) -> list[str]:
        """Who has had a transaction open for so long that what was published since is not read."""
        return await alarms(self.database)

    async def examine(self) -> list[Examined]:
        return [*await examine(self.database), await examine_log(self.database)]
