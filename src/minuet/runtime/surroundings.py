"""What the lanes of a process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from minuet.ports.clock import Chance, Clock
from minuet.ports.store import Store
from minuet.runtime.alone import Alone
from minuet.runtime.observing import Observers
from minuet.runtime.outlets import Outlet

CAUTION = 256
"""How many deliveries a lane claims before they run after a process died: as many as that may have had in a round."""


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
