"""Claiming: what a process begins is parked in the store as its own, so that a crash is known and a key is held."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Sequence
from typing import TypeVar

import msgspec

from minuet.core.verdict import Reason
from minuet.errors import MinuetError
from minuet.ports.broker import Delivery
from minuet.ports.observer import Point
from minuet.ports.store import Parked, Unit
from minuet.runtime.lanes import Lane
from minuet.runtime.reactor import Reactor
from minuet.runtime.recording import Recorder, parked_from

A = TypeVar("A")
B = TypeVar("B")
AGAIN_SECONDS = 0.25
"""How soon a delivery whose last attempt must be made alone is claimed again while it is another's turn."""


class Claimed:
    """What is this process's own once the transaction that claims it is durable."""

    def __init__(
        self,
        due: Sequence[Parked] = (),
        fresh: Sequence[Parked] = (),
        numbers: Awaitable[Sequence[int]] | Sequence[int] = (),
    ) -> None:
        self._due = due
        self._fresh = fresh
        self._numbers = numbers

    def __repr__(self) -> str:
        return f"<Claimed {len(self._due)} that were due, {len(self._fresh)} fresh>"

    async def begun(self) -> list[Parked]:
        """All of it, in the order in which it is to begin. Asked once, after the commit."""
        numbers = self._numbers if isinstance(self._numbers, Sequence) else await self._numbers
        fresh = [msgspec.structs.replace(p, id=number) for p, number in zip(self._fresh, numbers, strict=True)]
        return [*self._due, *fresh]


async def claim(lane: Lane, unit: Unit, recorder: Recorder, room: int, *, by: float | None = None) -> Claimed:
    """Make up to `room` deliveries this process's own, now or `by` another instant: those that are due first, unless
    nothing was parked when this lane last looked. What died with its processes as often as is granted, or may not begin
    twice, is given up.
    """
    consumer, parking = lane.reactor.id, unit.parking
    taken: Sequence[Delivery] = ()
    due_first = lane.may_be_parked
    if not due_first and await lane.admits(unit, 0):
        taken, busy = await both(lane.inlet.take(unit, room), parking.busy(consumer))
        room -= len(taken)
    else:
        busy = await parking.busy(consumer)
    by = lane.due_by() if by is None else by
    due = await parking.due(consumer, by, room, run=True) if busy and room else []
    if any(map(killed_before, due)):
        lane.surroundings.warn()
    started = await _may_begin(lane, unit, recorder, due)
    if len(due) == room:
        lane.may_be_parked = lane.may_be_parked or busy
    elif due_first and await lane.admits(unit, len(due)):
        taken = await lane.inlet.take(unit, room - len(due))
        # What the inbox knows because another process was quicker may be parked since it was asked for.
        busy = busy or (bool(taken) and await parking.busy(consumer))
    fresh, behind = await _told_apart(lane, unit, taken, busy=busy)
    numbers: Awaitable[Sequence[int]] | Sequence[int] = ()
    if fresh:
        asked = parking.park(fresh, state="running")
        numbers = asked if unit.answers_ahead else await asked
    if behind:
        lane.may_be_parked = True
        await parking.park(behind, state="behind")
    if lane.observes(Point.BEHIND):
        lane.observe_each(Point.BEHIND, behind)
    if lane.observes(Point.RECEIVED):
        lane.observe_each(Point.RECEIVED, [*started, *fresh])
    return Claimed(started, fresh, numbers)


async def _may_begin(lane: Lane, unit: Unit, recorder: Recorder, due: Sequence[Parked]) -> list[Parked]:
    """Those of what is due that may begin now; the others are given up, or left until their turn comes."""
    most = _attempts(lane.reactor)
    started = [parked for parked in due if parked.attempts <= most]
    for parked in due:
        if parked.attempts > most:
            begun = msgspec.structs.replace(parked, attempts=parked.attempts - 1)
            await recorder.give_up(begun, None, Reason.PROCESS_DIED, _died(begun))
    last = [parked for parked in started if parked.attempts == most and killed_before(parked)]
    if last and (left := lane.leaves(last)):
        started = [parked for parked in started if parked not in left]
        await unit.parking.give_back(left, lane.clock.now() + AGAIN_SECONDS)
        lane.may_be_parked = True
    return started


def killed_before(parked: Parked) -> bool:
    """Whether a process died with this delivery, which was due and is about to begin: an attempt more has begun than
    has failed. Of one that was redriven nobody can tell, and it is taken for one.
    """
    begun = parked.attempts - 1
    return begun > len(parked.history) or (begun > 0 and parked.dead_letter is not None)


async def give_back_unheard(lane: Lane, unit: Unit, begun: Sequence[Parked]) -> None:
    """Make due again what was claimed in a commit whose answer was lost: this process's own, and never begun."""
    known = {parked.id for parked in begun}
    claimed = await unit.parking.owned(lane.reactor.id)
    await unit.parking.give_back([parked for parked in claimed if parked.id not in known], lane.clock.now())


async def both(first: Awaitable[A], second: Awaitable[B]) -> tuple[A, B]:
    """What was asked together, answered in the order of asking."""
    try:
        return await first, await second
    finally:
        if isinstance(second, Coroutine):
            second.close()  # never begun where the first one raised


async def _told_apart(
    lane: Lane, unit: Unit, taken: Sequence[Delivery], *, busy: bool
) -> tuple[list[Parked], list[Parked]]:
    """Those whose key is free and who may run; and those of a key that is not free, who wait behind it."""
    consumer = lane.reactor.id
    keys = [delivery.key for delivery in taken if delivery.key is not None]
    held = await unit.parking.blocked(consumer, keys) if busy and keys else set[str]()
    free: list[Parked] = []
    behind: list[Parked] = []
    for delivery in taken:
        if delivery.key is not None and delivery.key in held:
            behind.append(parked_from(consumer, delivery))
        else:
            free.append(parked_from(consumer, delivery, attempts=1))
            if delivery.key is not None:
                held.add(delivery.key)
    lane.took(len(free), len(behind))
    return free, behind


def _attempts(reactor: Reactor) -> int:
    """How many attempts may begin. In a transaction at least two: a first may have died of another reaction's doing,
    and has left nothing.
    """
    if reactor.guarantee == "at_most_once":
        return 1
    return max(reactor.reaction.retry.times + 1, 2 if reactor.transactional else 1)


def _died(parked: Parked) -> MinuetError:
    died = parked.attempts - len(parked.history)
    return MinuetError(
        f"{died if died > 0 else parked.attempts} times a process died while it ran this delivery. If the reaction "
        "itself kills its process (memory, a native library), mend that and redrive; if machines were lost, redrive."
    )
