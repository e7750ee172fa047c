"""How much waits behind the keys of a reaction: when there is plenty, nothing more is taken until some is done."""

from __future__ import annotations

from minuet.ports.store import Unit

MOST_BEHIND = 10_000
"""How many may wait behind their keys before a lane leaves what comes with the log or the broker."""
ASK_SECONDS = 0.25
"""How soon it is asked again while other processes run what all wait for."""


class Crowd:
    """What one lane knows of it. The store is asked now and then only: counting costs as much as waits."""

    def __init__(self, consumer: str, most: int = MOST_BEHIND) -> None:
        self._consumer = consumer
        self._most = most
        self._room = 1
        """How many more this lane parks before it asks: not all that there is room for, as others park too."""
        self._patience = 0
        """How many this lane begins, or has nothing to do, before it asks again whether there is room."""
        self.full = False
        """Whether nothing more is taken."""

    def __repr__(self) -> str:
        return f"<Crowd behind {self._consumer}, {'full' if self.full else 'not full'}>"

    async def admits(self, unit: Unit, now: float, due: int, *, idle: bool) -> bool:
        """Whether more may be taken beside what was `due`. `idle`: this lane has nothing else to do."""
        self._patience -= due
        if self._room > 0 or (self.full and not idle and self._patience > 0):
            return not self.full
        behind = await unit.parking.behind(self._consumer, now, self._most)
        self.full = behind >= self._most
        self._room = 0 if self.full else max(1, (self._most - behind) // 4)
        self._patience = self._most // 20
        return not self.full

    def took(self, started: int, behind: int) -> None:
        """So many were taken and began, and so many wait. What mostly begins crowds nothing."""
        if behind > started:
            self._room -= behind
