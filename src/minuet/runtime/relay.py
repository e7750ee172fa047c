"""The relay: what the outbox owes goes to the broker, in order, in batches, outside any transaction."""

from __future__ import annotations

import asyncio

from minuet.ports.broker import Broker
from minuet.ports.clock import Chance
from minuet.ports.observer import Point, Turn
from minuet.ports.store import Owed, Store
from minuet.runtime.feed import RECONNECT
from minuet.runtime.observing import Observers

BATCH = 256
"""How many messages are published together at most."""


class Relay:
    """Publishes one store's outbox. Relays of several processes take turns, never the same row."""

    def __init__(self, store: Store, broker: Broker, chance: Chance, observers: Observers) -> None:
        self._store = store
        self._broker = broker
        self._chance = chance
        self._observers = observers
        self._changed = asyncio.Event()
        self._stopping = False

    def __repr__(self) -> str:
        return f"<Relay from {self._store!r} to {self._broker!r}>"

    def wake(self) -> None:
        """Something may be owed."""
        self._changed.set()

    def stop(self) -> None:
        """Publish what is owed now, then end."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Relay until stopped. A broker that is away loses nothing: rows keep their place."""
        failures = 0
        while True:
            self._changed.clear()
            try:
                if owed := await self._store.claim_owed(BATCH):
                    await self._publish(owed)
                    failures = 0
                elif self._stopping:
                    return
                else:
                    await self._changed.wait()
            except Exception as error:  # whatever a client library raises: the relay must outlive it
                failures += 1
                self._observers.trouble(f"publishing from {self._store!r}", error)
                if self._stopping:
                    return
                await asyncio.sleep(RECONNECT.delay(failures + 1, self._chance.random()) or 0.0)

    async def _publish(self, owed: list[Owed]) -> None:
        try:
            await self._broker.publish([row.message for row in owed])
        except BaseException:
            await asyncio.shield(self._store.unclaim(owed))
            raise
        if Point.PUBLISHED in self._observers.points:
            self._observers.at(
                Point.PUBLISHED,
                [
                    Turn(
                        reaction="outbox",
                        place="",
                        topic=o.message.topic,
                        event_id=o.message.id,
                        key=o.message.key,
                    )
                    for o in owed
                ],
            )
        await self._store.paid(owed)
