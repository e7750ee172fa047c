"""What is done beside the turns: work of dead processes is freed, and what is old and settled is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeGuard

from minuet.errors import StandsStill
from minuet.ports.broker import Broker, Watching
from minuet.ports.clock import Clock
from minuet.ports.store import Store
from minuet.runtime.observing import Observers

RECLAIM_SECONDS = 0.25
"""How soon the work of a process that died is begun again."""
WATCH_SECONDS = 2.0
"""How often it is looked for what stands still: a few look-ups."""
AGAIN_SECONDS = 60.0
"""How soon it is said again."""
OWED_SECONDS = 60.0
"""How long a message may be owed to the broker before it is said."""
MOST_KEPT = 100_000
"""How many unsettled events the trimming works round; with more of them, nothing is trimmed."""


def _watches(broker: Broker) -> TypeGuard[Watching]:
    return isinstance(broker, Watching)


class Housekeeping:
    """Runs in every process; whoever comes first does the work."""

    def __init__(
        self,
        store: Store,
        broker: Broker,
        clock: Clock,
        observers: Observers,
        retention_seconds: float,
    ) -> None:
        self._store = store
        self._broker = broker
        self._clock = clock
        self._observers = observers
        self._retention_seconds = retention_seconds

    async def reclaim(self, wake: Callable[[], None]) -> None:
        """Free the work of dead processes, for ever; `wake` is called when there was some."""
        while True:
            try:
                if await self._store.reclaim(self._clock.now()):
                    wake()
            except Exception as error:  # the chore must outlive whatever its database does
                self._observers.trouble("freeing the work of dead processes", error)
            await asyncio.sleep(RECLAIM_SECONDS)

    async def watch(self) -> None:
        """Say what stands still and nobody else notices, for ever, each thing once a minute at most."""
        said: dict[str, float] = {}
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                alarms = await self.alarms()
            except Exception as error:  # the chore must outlive whatever its database does
                self._observers.trouble("looking for what stands still", error)
                continue
            now = asyncio.get_running_loop().time()
            for where, text in alarms:
                if now - said.get(where, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                    said[where] = now
                    self._observers.trouble(where, StandsStill(text))

    async def alarms(self) -> list[tuple[str, str]]:
        """What stands still now: where, and a sentence or two."""
        found = [("reading the log", text) for text in await self._broker.alarms()] if _watches(self._broker) else []
        oldest = await self._store.owed(1)
        if oldest and (seconds := self._clock.now() - oldest[0].at) > OWED_SECONDS:
            row = oldest[0].message
            text = (
                f"{row.topic} {row.id} has been owed to the broker for {seconds:.0f} seconds, and what is owed after "
                "it may wait for it. Look with `minuet doctor`."
            )
            found.append((f"publishing from {self._store!r}", text))
        return found

    async def trim(self) -> None:
        """Forget what is older than the retention, for ever, a bucket at a time."""
        pause = min(max(self._retention_seconds / 10, 0.1), 60.0)
        while True:
            await asyncio.sleep(pause)
            try:
                await self.trim_once()
            except Exception as error:  # the chore must outlive whatever its database does
                self._observers.trouble("forgetting what is older than the retention", error)

    async def trim_once(self) -> int:
        """One pass, in bounded steps that let others write in between. Returns how many rows went."""
        keep = await self._store.unsettled()
        if len(keep) > MOST_KEPT:
            self._observers.trouble(
                "forgetting what is older than the retention",
                StandsStill(
                    f"{len(keep)} dead letters and parked deliveries are unsettled, more than {MOST_KEPT}: nothing is "
                    "forgotten until they are fewer. Look with `minuet dlq list`."
                ),
            )
            return 0
        total = 0
        while True:
            now = self._clock.now()
            before = now - self._retention_seconds
            gone = await self._broker.trim(before, now, keep) + await self._store.trim(before)
            total += gone
            if not gone:
                return total
            await asyncio.sleep(0)
