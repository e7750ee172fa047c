"""Claiming: what a process begins is parked in the store as its own, so that a crash is known and a key is held."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from minuet.core.verdict import Reason
from minuet.errors import MinuetError
from minuet.ports.broker import Delivery
from minuet.ports.observer import Point
from minuet.ports.store import Parked, Unit
from minuet.runtime.lanes import Lane
from minuet.runtime.recording import Recorder, parked_from


async def claim(lane: Lane, unit: Unit, recorder: Recorder, room: int) -> list[Parked]:
    """Make up to `room` deliveries this process's own, those that are due first. What died with its processes as often
    as is granted, or may not begin twice, is given up.
    """
    reactor = lane.reactor
    busy = await unit.parking.busy(reactor.id)
    due = await unit.parking.due(reactor.id, lane.clock.now(), room, run=True) if busy else []
    most = 1 if reactor.guarantee == "at_most_once" else reactor.reaction.retry.times + 1
    started = [parked for parked in due if parked.attempts <= most]
    for parked in due:
        if parked.attempts > most:
            await recorder.give_up(parked, None, Reason.PROCESS_DIED, _died(parked))
    if len(due) == room:
        lane.may_be_parked = True
    else:
        taken = await lane.inlet.take(unit, room - len(due))
        # What the inbox knows because another process was quicker may be parked since it was asked for.
        busy = busy or (bool(taken) and await unit.parking.busy(reactor.id))
        started += await _park(lane, unit, taken, busy=busy)
    if lane.observes(Point.RECEIVED):
        lane.observe_each(Point.RECEIVED, started)
    return started


async def give_back_unheard(lane: Lane, unit: Unit, begun: Sequence[Parked]) -> None:
    """Make due again what was claimed in a commit whose answer was lost: this process's own, and never begun."""
    known = {parked.id for parked in begun}
    claimed = await unit.parking.owned(lane.reactor.id)
    await unit.parking.give_back([parked for parked in claimed if parked.id not in known], lane.clock.now())


async def _park(lane: Lane, unit: Unit, taken: Sequence[Delivery], *, busy: bool) -> list[Parked]:
    """Those whose key is free run; those of a key that is not free wait behind it."""
    consumer = lane.reactor.id
    keys = [delivery.key for delivery in taken if delivery.key is not None]
    held = await unit.parking.blocked(consumer, keys) if busy and keys else set[str]()
    started: list[Parked] = []
    behind: list[Parked] = []
    for delivery in taken:
        if delivery.key is not None and delivery.key in held:
            behind.append(parked_from(consumer, delivery))
        else:
            started.append(parked_from(consumer, delivery, attempts=1))
            if delivery.key is not None:
                held.add(delivery.key)
    numbers = await unit.parking.park(started, state="running")
    if behind:
        lane.may_be_parked = True
        await unit.parking.park(behind, state="behind")
        if lane.observes(Point.BEHIND):
            lane.observe_each(Point.BEHIND, behind)
    return [msgspec.structs.replace(p, id=number) for p, number in zip(started, numbers, strict=True)]


def _died(parked: Parked) -> MinuetError:
    return MinuetError(
        f"{parked.attempts - 1} times a process died while it ran this delivery. If the reaction itself kills its "
        "process (memory, a native library), mend that and redrive; if machines were lost, redrive."
    )
