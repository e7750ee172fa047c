"""What the lanes of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from minuet.ports.clock import Chance, Clock
from minuet.ports.store import Store
from minuet.runtime.observing import Observers
from minuet.runtime.outlets import Outlet

CAUTION = 256
"""How many deliveries a lane claims before they run after a process died: as many as that may have had in a round."""


class Alone:
    """Whose turn it is, among the lanes of a process, to run what a process died with: should this one die too, it is
    known of what.
    """

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()

    def __repr__(self) -> str:
        return f"<Alone, {'free' if self._free.is_set() else 'taken'}>"

    def try_take(self) -> bool:
        """Take the turn if nobody has it."""
        free = self._free.is_set()
        self._free.clear()
        return free

    def give(self) -> None:
        """The turn is over."""
        self._free.set()

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[None]:
        """Wait for the turn; it lasts as long as the block."""
        while not self.try_take():
            await self._free.wait()
        try:
            yield
        finally:
            self.give()


@dataclass(frozen=True)
class Surroundings:
    """What every lane of a process works with."""

    store: Store
    outlet: Outlet
    clock: Clock
    chance: Chance
    observers: Observers
    alone: Alone = field(default_factory=Alone)
    careful: list[Callable[[int], None]] = field(default_factory=list[Callable[[int], None]])
    """Those lanes' `be_careful` that run what they have not claimed."""

    def warn(self) -> None:
        """What a process died with is about to begin here, and may have died of another reaction's doing: let lanes be
        careful at once, before this process has looked for dead ones.
        """
        for be_careful in self.careful:
            be_careful(CAUTION)
