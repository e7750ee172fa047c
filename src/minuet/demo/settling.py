"""What services on one SQLite file have yet to do, read from the file itself."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from minuet.app import App
from minuet.brokers.sqlite import SqliteBroker
from minuet.choreography.manifest import WorkflowEntry, names
from minuet.databases.statements import load
from minuet.ports.store import DeadLetter, DeadLetterFilter
from minuet.stores.sqlite import SqliteStore

SQL = load("minuet.demo", "settling.sql")
EVERY = 1_000_000_000
"""How many dead letters are listed at most: all there are."""


class Waiting(NamedTuple):
    """A reaction that is not done: with events of the log that it has not taken, or with parked deliveries."""

    consumer: str
    unread: int
    parked: int

    def __str__(self) -> str:
        if self.unread < 0:
            return f"{self.consumer} has never started"
        return f"{self.consumer} has {self.unread} events to take and {self.parked} taken ones to settle"


class Event(NamedTuple):
    """One event of the log by its ids."""

    id: str
    topic: str
    correlation_id: str
    causation_id: str | None


class Settling:
    """Answers from one file, for an app whose services run wherever they run."""

    def __init__(self, app: App, store: SqliteStore) -> None:
        manifest = app.manifest
        self._consumers = [reaction.id for reaction in manifest.reactions]
        self._workflows = manifest.workflows
        self._store = store

    def __repr__(self) -> str:
        return f"<Settling of {', '.join(self._consumers)}>"

    async def pulse(self) -> Sequence[object]:
        """Numbers of which at least one changes whenever anything happens. Cheap."""
        [row] = await self._store.database.read(SQL["pulse"])
        return row

    async def waiting(self) -> list[Waiting]:
        """Every reaction that is not done, at one moment; none, and nothing more will happen by itself."""
        found: dict[str, Waiting] = {}
        owed = 0
        for consumer, unread, parked, outbox in await self._store.database.read(SQL["waiting"]):
            found[str(consumer)] = Waiting(str(consumer), _int(unread), _int(parked))
            owed = _int(outbox)
        awaited = [found.get(consumer, Waiting(consumer, -1, 0)) for consumer in self._consumers]
        unsettled = [one for one in awaited if one.unread or one.parked]
        return [*unsettled, Waiting("the outbox", owed, 0)] if owed else unsettled

    async def unended(self) -> int:
        """How many instances began and have not come to an end of their workflow."""
        return sum([await self._unended(workflow) for workflow in self._workflows])

    async def _unended(self, workflow: WorkflowEntry) -> int:
        topics = {
            "starts": json.dumps(sorted(names(workflow.starts))),
            "ends": json.dumps(sorted(names(workflow.ends))),
        }
        [(number,)] = await self._store.database.read(SQL["open_instances"], topics)
        return _int(number)

    async def events(self) -> list[Event]:
        """The whole log, in its order."""
        return [
            Event(str(event_id), str(topic), str(correlation), None if cause is None else str(cause))
            for event_id, topic, correlation, cause in await self._store.database.read(SQL["events"])
        ]

    async def count(self, name: str) -> int:
        """A durable count of the runtime's (`retries`, `duplicates_absorbed`), over all services."""
        return sum(of_service.get(name, 0) for of_service in (await self._store.counts()).values())

    async def dead_letters(self) -> list[DeadLetter]:
        """Every dead letter, whatever its state."""
        return await self._store.list_dead_letters(DeadLetterFilter(state=None), EVERY)


@asynccontextmanager
async def opened(app: App, url: str) -> AsyncGenerator[Settling]:
    """Look into a file, which is created with what broker and store keep in it if it is not there yet."""
    store, broker = SqliteStore.from_url(url), SqliteBroker.from_url(url)
    broker.joined(store)  # one connection for both
    await store.open()
    try:
        await broker.open()
        try:
            yield Settling(app, store)
        finally:
            await broker.close()
    finally:
        await store.close()


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
