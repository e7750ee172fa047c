"""A signal for tests: set at the commit with which what they wait for has come about."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from minuet.ports.observer import Outcome, Point, Turn


class Finish:
    """Counts how turns ended, and how many events they emitted, until `done` says that it is enough."""

    points = frozenset({Point.COMMITTED})

    def __init__(self, done: Callable[["Finish"], bool]) -> None:
        self._done = done
        self._reached = asyncio.Event()
        self.ended = Counter[tuple[str, Outcome | None]]()
        self.emitted = Counter[str]()
        self.troubles: list[BaseException] = []

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        """Count the turns that are durable now."""
        for turn in turns:
            self.ended[turn.reaction, turn.outcome] += 1
            self.emitted[turn.reaction] += turn.emitted
        if self._done(self):
            self._reached.set()

    def trouble(self, where: str, error: BaseException) -> None:
        """Keep what the runtime itself met."""
        self.troubles.append(error)

    @property
    def dead(self) -> int:
        """How many turns ended as dead letters."""
        return sum(times for (_, outcome), times in self.ended.items() if outcome is Outcome.DEAD)

    async def wait(self) -> None:
        """Return once it is done; what the runtime met on the way is an error."""
        async with asyncio.timeout(60):
            await self._reached.wait()
        assert self.troubles == []
