"""Whether nothing is left to do: every event is read, nothing is parked, nothing is owed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from minuet.ports.broker import Broker
from minuet.ports.store import ParkedFilter, Store
from minuet.runtime.lanes import Lane

LOOK_SECONDS = 0.02
"""How soon it looks again, at the earliest; otherwise after as long as looking took."""


class Settling:
    """Looks for anything that the lanes of this process, or of others that run the same reactions, have yet to do."""

    def __init__(self, lanes: Sequence[Lane], groups: Collection[str], store: Store, broker: Broker) -> None:
        self._lanes = tuple(lanes)
        self._groups = frozenset(groups)
        self._store = store
        self._broker = broker

    def __repr__(self) -> str:
        return f"<Settling of {', '.join(sorted(self._groups)) or 'the outbox'}>"

    async def wait(self) -> None:
        """Return once nothing is left. What waits for a retry is left; what waits behind a dead letter is not."""
        now = asyncio.get_running_loop().time
        began = now()
        while not await self.settled():
            await asyncio.sleep(max(LOOK_SECONDS, now() - began))  # other processes' work makes no sound here
            began = now()

    async def settled(self) -> bool:
        """Whether nothing is left. The looks are several; what moves between them makes the answer no."""
        before = self._moves()
        if any(lane.at_work for lane in self._lanes) or await self._left():
            return False
        return self._moves() == before

    def _moves(self) -> int:
        return sum(lane.moves for lane in self._lanes)

    async def _left(self) -> bool:
        """In the order in which events move: from the outbox to the broker, from there into parking."""
        if await self._store.owed(1):
            return True
        if self._groups and any(
            progress.behind for progress in await self._broker.groups() if progress.group.name in self._groups
        ):
            return True
        for lane in self._lanes:
            which = ParkedFilter(consumer=lane.reactor.id, states=("due", "running"))
            if await self._store.parked(which, 1):
                return True
        return False
