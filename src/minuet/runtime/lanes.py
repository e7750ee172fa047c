"""What the two kinds of lane share: when they wake, how they stop, how they outlive trouble."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from minuet.errors import MinuetError, TransactionLost
from minuet.policies.retry import Retry
from minuet.ports.broker import Delivery
from minuet.ports.observer import Point
from minuet.ports.store import Parked, Unit
from minuet.runtime.inlets import Inlet
from minuet.runtime.reactor import Reactor, inside
from minuet.runtime.reading import Arrival
from minuet.runtime.recording import turn_of
from minuet.runtime.surroundings import Surroundings

RECOVER = Retry(times=1_000_000, first_seconds=0.05, most_seconds=5.0)
"""How a lane goes on after its transaction failed: a disk full, a database gone."""

SET_BACK_SECONDS = 60.0
"""How much longer than its retries may wait something is due before it is clear that the clock was set back."""


class Lane(ABC):
    """One reaction at work in this process. Lanes of one reaction in several processes share its deliveries."""

    def __init__(self, reactor: Reactor, inlet: Inlet, surroundings: Surroundings, changed: asyncio.Event) -> None:
        self.reactor = reactor
        self.inlet = inlet
        self.surroundings = surroundings
        self.store = surroundings.store
        self.clock = surroundings.clock
        self.observers = surroundings.observers
        self._changed = changed
        self._points = surroundings.observers.points
        self._stopping = False
        self._alarm: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        """Its own, which reactions run in, once it runs: asking for it at each turn is a tenth of a turn's time."""
        self._stuck_until = 0.0
        """An instant that the clock was set back from: what waits for it waits no longer."""
        self.may_be_parked = True
        """Whether the store may hold something parked that this lane has not looked at."""
        self.moves = 0
        """Raised when a round begins and when it ends, so that it is odd inside one."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reactor.id}, {'stopping' if self._stopping else 'running'}>"

    def wake(self) -> None:
        """Look again: something may have come, fallen due or ended."""
        self._changed.set()

    def look(self) -> None:
        """Another process or an operator may have changed something in the store: look there too."""
        self.may_be_parked = True
        self.wake()

    @property
    def stopping(self) -> bool:
        return self._stopping

    @property
    def at_work(self) -> bool:
        """Whether it has taken what it has not recorded."""
        return self.moves % 2 == 1

    def stop(self) -> None:
        """Take nothing more; finish what is begun."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Work until stopped. A failed transaction loses nothing: its round is done again, later each time."""
        self._task = asyncio.current_task()
        failures = 0
        with inside(self.reactor.id):
            while not self._finished():
                self._changed.clear()
                try:
                    if await self._has_work():
                        self.moves += 1
                        try:
                            await self._round()
                        finally:
                            self.moves += 1
                        failures = 0
                    else:
                        await self._changed.wait()
                except TransactionLost:
                    self.may_be_parked = True  # who lost it is known, or will do it again: go on at once
                except Exception as error:  # the lane must outlive whatever its database does
                    failures += 1
                    self.may_be_parked = True
                    self.observers.trouble(f"recording for {self.reactor.id} ({self.reactor.place})", error)
                    if self._stopping:
                        raise
                    await asyncio.sleep(RECOVER.delay(failures + 1, self.surroundings.chance.random()) or 0.0)

    def leaves(self, last: Sequence[Parked]) -> Sequence[Parked]:  # noqa: ARG002  # who runs them otherwise
        """Those of the claimed, each granted one more attempt after processes died with it, that must wait a moment."""
        return ()

    async def admits(self, unit: Unit, due: int) -> bool:  # noqa: ARG002  # who bounds what waits behind its keys
        """Whether fresh deliveries may be taken, beside so many that were due."""
        return True

    def took(self, started: int, behind: int) -> None:  # noqa: B027  # who bounds what waits overrides it
        """So many fresh deliveries were taken and begin, and so many wait behind their keys."""

    def observes(self, point: Point) -> bool:
        """Whether anybody wants to be told of this point."""
        return point in self._points

    def observe_each(self, point: Point, subjects: Sequence[Delivery | Parked], arrival: Arrival | None = None) -> None:
        """Tell observers of these, one a call."""
        for subject in subjects:
            self.observers.at(point, (turn_of(self.reactor, subject, arrival),))

    @abstractmethod
    def _finished(self) -> bool:
        """Whether a stop has been asked for and nothing is begun."""

    @abstractmethod
    async def _round(self) -> None:
        """Take, run and record what there is."""

    async def _has_work(self) -> bool:
        if self._stopping:
            return False
        return await self.inlet.ready() or await self._is_due()

    async def _is_due(self) -> bool:
        """Whether something parked is due. Otherwise it wakes this lane when it is."""
        if not self.may_be_parked:
            return False
        self.may_be_parked = False
        due_at = await self.store.next_due(self.reactor.id)
        if due_at is None:
            return False
        seconds = due_at - self.clock.now()
        if seconds > self.reactor.reaction.retry.most_seconds + SET_BACK_SECONDS:  # nothing is made to wait so long
            self._stuck_until, seconds = due_at, 0.0
        if seconds <= 0:
            self.may_be_parked = True
            return True
        self._wake_in(seconds)
        return False

    def due_by(self) -> float:
        """What is parked until this instant is due."""
        by, self._stuck_until = max(self.clock.now(), self._stuck_until), 0.0
        return by

    def _wake_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_later(seconds, self.look)


def failure(error: BaseException, *, stopping: bool) -> BaseException:
    """What a reaction that raised this failed with.

    Raises it anew when it is not the reaction's own: its lane is asked to end, or the user at the keyboard asks the
    program. `sys.exit()` in a reaction ends that reaction only, and so does cancelling its own task: until the lane is
    stopping, nobody else does that.
    """
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is not None and task.cancelling() and stopping:
            raise error
        while task is not None and task.cancelling():
            task.uncancel()
        return cancelled()
    return error


def cancelled() -> MinuetError:
    """What a reaction that ended in a CancelledError of its own failed with."""
    return MinuetError(
        "The reaction was cancelled from within: it awaited a task or future that was cancelled and let that pass. "
        "Catch asyncio.CancelledError there, or shield what it awaits."
    )
