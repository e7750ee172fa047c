"""Signals: an observer whose points a test awaits, so that it never waits for time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from minuet.contracts.duration import Duration, seconds
from minuet.ports.observer import Outcome, Point, Turn
from minuet.testing.passage import Passage


class Signals:
    """Keeps every turn that passes its points, and wakes whoever awaits one.

    ```python
    signals = Signals()
    app = App([orders, payments], observers=[signals])
    async with app.running():
        await orders.emit(OrderPlaced(order_id="1"))
        await signals.reached(Point.COMMITTED, reaction="payments.charge")
    ```

    `turns` and `troubles` are what it was told, in that order. It is for tests: it forgets nothing.
    """

    def __init__(self, points: Iterable[Point] = tuple(Point)) -> None:
        self.points = frozenset(points)
        self.turns: list[tuple[Point, Turn]] = []
        self.troubles: list[tuple[str, BaseException]] = []
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"<Signals of {len(self.turns)} turns and {len(self.troubles)} troubles>"

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        self.turns += [(point, turn) for turn in turns]
        self._look()

    def trouble(self, where: str, error: BaseException) -> None:
        self.troubles.append((where, error))
        self._look()

    def passed(
        self,
        point: Point,
        *,
        reaction: str | None = None,
        outcome: Outcome | None = None,
        topic: str | None = None,
        key: str | None = None,
        event_id: str | None = None,
    ) -> list[Turn]:
        """The turns that have passed this point so far."""
        return self._found(
            Passage(point=point, reaction=reaction, outcome=outcome, topic=topic, key=key, event_id=event_id)
        )

    async def reached(
        self,
        point: Point,
        *,
        reaction: str | None = None,
        outcome: Outcome | None = None,
        topic: str | None = None,
        key: str | None = None,
        event_id: str | None = None,
        count: int = 1,
        within: Duration = "30s",
    ) -> list[Turn]:
        """Wait until `count` turns have passed this point, and return those that have.

        Turns that passed before the call count too. `within` bounds the wait for the day on which they do not come:
        TimeoutError then says what was awaited and what came instead.
        """
        if point not in self.points:
            raise ValueError(f"These signals do not observe {point}: they were made for {', '.join(self.points)}.")
        which = Passage(point=point, reaction=reaction, outcome=outcome, topic=topic, key=key, event_id=event_id)
        await self._until(lambda: len(self._found(which)) >= count, f"{count} turns with {which}", within)
        return self._found(which)

    async def troubled(self, *, count: int = 1, within: Duration = "30s") -> list[tuple[str, BaseException]]:
        """Wait until the runtime has met `count` errors of its own, and return all: where, and which."""
        await self._until(lambda: len(self.troubles) >= count, f"{count} troubles", within)
        return list(self.troubles)

    def _found(self, which: Passage) -> list[Turn]:
        return [turn for point, turn in self.turns if which.matches(point, turn)]

    async def _until(self, done: Callable[[], bool], awaited: str, within: Duration) -> None:
        if done():
            return
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((done, come))
        try:
            async with asyncio.timeout(seconds(within)):
                await come
        except TimeoutError:
            raise TimeoutError(f"{awaited} did not come within {within}. What came: {self._summary()}") from None
        finally:
            self._waiting = [waiting for waiting in self._waiting if waiting[1] is not come]

    def _look(self) -> None:
        for done, come in self._waiting:
            if not come.done() and done():
                come.set_result(None)

    def _summary(self) -> str:
        lines = [
            f"{point} {turn.reaction} {turn.topic} key {turn.key} attempt {turn.attempt} {turn.outcome or ''}"
            for point, turn in self.turns[-20:]
        ]
        lines += [f"trouble {where}: {error!r}" for where, error in self.troubles[-5:]]
        return "; ".join(lines) or "nothing"
