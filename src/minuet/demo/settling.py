"""What services have yet to do, wherever they run: asked of their broker and their store, from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol, cast

from minuet.app import App
from minuet.config import open_broker, open_store
from minuet.ports.broker import Broker
from minuet.ports.store import DeadLetterFilter, DeadLetterHead, ParkedFilter, Store

MOST_PARKED = 1000
"""How many parked deliveries are looked at; with more of them, enough is left to do."""


class Waiting(NamedTuple):
    """A reaction that is not done: with events of the broker that it has not taken, or with parked deliveries."""

    consumer: str
    unread: int
    parked: int

    def __str__(self) -> str:
        if self.unread < 0:
            return f"{self.consumer} has never started"
        return f"{self.consumer} has {self.unread} events to take and {self.parked} taken ones to settle"


class Readable(Protocol):
    """A database that a store lives in."""

    async def read(self, sql: str, /) -> Sequence[Sequence[Any]]:
        """Run a query on what is committed."""
        ...


class Settling:
    """Answers for an app whose services run wherever they run.

    Not every broker shows what is still to be taken from it. Then `complete` is false, and only what services have
    done tells whether they are done.
    """

    def __init__(self, app: App, broker: Broker | None, store: Store) -> None:
        self._consumers = [reaction.id for reaction in app.manifest.reactions]
        self._broker = broker
        self.store = store

    def __repr__(self) -> str:
        return f"<Settling of {', '.join(self._consumers)}>"

    @property
    def complete(self) -> bool:
        """Whether `waiting` knows of everything that is to be done."""
        return self._broker is not None

    async def pulse(self) -> Sequence[object]:
        """Values of which at least one changes while retries go on, whatever services' own tables say."""
        parked = await self.store.parked(ParkedFilter(unsettled=True), MOST_PARKED)
        return (
            await self.store.counts(),
            [(standing.delivery.id, standing.delivery.attempts, standing.state) for standing in parked],
        )

    async def waiting(self) -> list[Waiting]:
        """Every reaction that is not done; none, and nothing more will happen by itself.

        It looks in the order in which events move. What moves on from behind this look has left its effect meanwhile.
        """
        owed = len(await self.store.owed())
        behind = dict.fromkeys(self._consumers, 0)
        if self._broker is not None:
            groups = {progress.group.name: progress.behind for progress in await self._broker.groups()}
            behind = {name: groups.get(name, groups.get(name.partition(".")[0], -1)) for name in self._consumers}
        parked = Counter(
            standing.delivery.consumer
            for standing in await self.store.parked(ParkedFilter(unsettled=True), MOST_PARKED)
        )
        found = [Waiting(name, unread, parked[name]) for name, unread in behind.items()]
        unsettled = [one for one in found if one.unread or one.parked]
        return [*unsettled, Waiting("the outbox", owed, 0)] if owed else unsettled

    async def read(self, sql: str) -> Sequence[Sequence[Any]]:
        """Run a query on the store's database, on a connection that is no service's."""
        return await cast("Readable", self.store.database).read(sql)

    async def count(self, name: str) -> int:
        """A durable count of the runtime's (`retries`, `duplicates_absorbed`), over all services."""
        return sum(of_service.get(name, 0) for of_service in (await self.store.counts()).values())

    async def dead_letters(self) -> list[DeadLetterHead]:
        """Every dead letter, whatever its state."""
        return await self.store.survey_dead_letters(DeadLetterFilter(state=None))


@asynccontextmanager
async def opened(app: App, broker: str, store: str) -> AsyncGenerator[Settling]:
    """Look into a broker and a store; what they keep of their own is made if it is not there yet.

    Raises BrokerUnavailable or StoreUnavailable.
    """
    at_store, at_broker = open_store(store), open_broker(broker)
    at_broker.joined(at_store)  # one connection for both, where that is possible
    await at_store.open()
    try:
        if not at_broker.capabilities.traceable:
            yield Settling(app, None, at_store)
            return
        await at_broker.open()
        try:
            yield Settling(app, at_broker, at_store)
        finally:
            await at_broker.close()
    finally:
        await at_store.close()
