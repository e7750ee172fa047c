"""Crashes on purpose: an observer that kills its own process at an exact moment of a turn."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from minuet.ports.observer import Outcome, Point, Turn
from minuet.testing.passage import Passage


class Crash:
    """Kills its own process, as `kill -9` does, the `count`-th time that a turn passes a point.

    Nothing is flushed, closed or rolled back by this process: what survives is what was durable. Give it to the App
    of a process that a test has started, and see what the next one makes of it:

    ```python
    app = App([payments], broker=url, store=url, observers=[Crash(Point.RECORDED, outcome=Outcome.RETRY)])
    ```

    The words are those of `Signals.reached`; `emitted` says whether the reaction emitted anything.
    """

    def __init__(
        self,
        point: Point,
        *,
        reaction: str | None = None,
        outcome: Outcome | None = None,
        topic: str | None = None,
        key: str | None = None,
        event_id: str | None = None,
        emitted: bool | None = None,
        count: int = 1,
    ) -> None:
        self.points = frozenset({point})
        self._which = Passage(
            point=point, reaction=reaction, outcome=outcome, topic=topic, key=key, event_id=event_id, emitted=emitted
        )
        self._left = count

    def __repr__(self) -> str:
        return f"<Crash at {self._which}, after {self._left}>"

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        for turn in turns:
            if self._which.matches(point, turn):
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    def trouble(self, where: str, error: BaseException) -> None:
        """It is for crashes only."""
