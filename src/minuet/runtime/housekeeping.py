"""What is done beside the turns: work of dead processes is freed, and what is old and settled is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from minuet.errors import CapacityError
from minuet.ports.broker import Broker
from minuet.ports.clock import Clock
from minuet.ports.store import Store
from minuet.runtime.observing import Observers

RECLAIM_SECONDS = 0.25
"""How soon the work of a process that died is begun again."""
MOST_KEPT = 100_000
"""How many unsettled events the trimming works round; with more of them, nothing is trimmed."""


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
                CapacityError(
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
