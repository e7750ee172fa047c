"""Which processes are at work, as rows of the store: so that one that died is known, and others are careful.

A process parks itself, `running`, as it parks what it runs. A clean end removes the row. When the process dies, the row
falls due together with what it was running: see decision 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from minuet.ports.store import Parked, ParkedFilter, Standing
from minuet.runtime.lanes import Lane
from minuet.runtime.once import AtMostOnceLane
from minuet.runtime.surroundings import CAUTION, Surroundings
from minuet.runtime.transactional import TransactionalLane

PROCESSES = "processes"
"""The consumer of rows that are processes; no reaction's id is without a dot."""
LOOK_SECONDS = 0.25
"""How soon a process knows that another of its services died: one look-up in an index."""
DEATHS = 8
"""After more deaths than this, none of them long ago, each one more makes caution last twice as long."""
DOUBLINGS_AT_MOST = 6
REMEMBER_SECONDS = 600.0
"""How long a death is known: those who start meanwhile are careful too, however late they are started again."""
MOST_REMEMBERED = DEATHS + DOUBLINGS_AT_MOST
"""How many deaths are known at most; of more, the newest."""


class Presence:
    """This process among those that run the same services, as far as their reactions run in transactions."""

    def __init__(self, surroundings: Surroundings, lanes: Sequence[Lane]) -> None:
        self._store = store = surroundings.store
        self._clock = surroundings.clock
        self._observers = surroundings.observers
        self._lanes = [
            lane
            for lane in lanes
            if isinstance(lane, TransactionalLane)
            and not isinstance(lane, AtMostOnceLane)
            and store.capabilities.shared
        ]
        surroundings.careful.extend(lane.be_careful for lane in self._lanes)
        self._services = sorted({lane.reactor.service for lane in self._lanes})
        self._own: Parked | None = None
        self._known: set[int] = set()
        self._watching: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Presence of {', '.join(self._services) or 'nothing'}>"

    async def begin(self) -> None:
        """Be known from here on. Lanes that should be careful are when this returns."""
        if not self._lanes:
            return
        await self._store.reclaim(self._clock.now())
        await self.look()
        await self._enter()
        self._watching = asyncio.create_task(self._watch(), name="minuet presence")

    async def end(self) -> None:
        """A clean end: nobody need be careful for it."""
        if self._watching is None:
            return
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        try:
            await self._forget([self._own] if self._own is not None else [])
        except Exception as error:  # others will be careful, and need not be
            then = "It will be taken for one that died, and others of its services are careful for a while"
            self._observers.left("ending as a process that is known", error, then)

    async def look(self) -> None:
        """Let lanes be careful whose service has lost a process that was not known to be lost, and forget old ones."""
        if await self._store.next_due(PROCESSES) is None:
            return
        standing = await self._store.parked(ParkedFilter(consumer=PROCESSES, unsettled=True))
        lost = [one for one in standing if one.state == "due"]
        if self._own is not None and self._own.id in {one.delivery.id for one in lost}:
            await self._enter()  # taken for dead, and alive
        fresh = [one for one in lost if one.delivery.id not in self._known]
        self._known = {one.delivery.id for one in lost}
        for lane in self._lanes:
            service = lane.reactor.service
            if any(service in _services(one) for one in fresh):
                lane.be_careful(caution(sum(service in _services(one) for one in lost)))
        await self._forget([one.delivery for one in forgotten(lost, self._clock.now())])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception as error:  # the chore must outlive whatever its database does
                self._observers.trouble("looking for processes that died", error)

    async def _enter(self) -> None:
        body = msgspec.json.encode(self._services).decode()
        row = Parked(
            id=0, consumer=PROCESSES, topic=PROCESSES, key=None, event_id=None, source=None, headers=None,
            body=body, attempts=1,
        )  # fmt: skip
        async with self._store.transaction() as unit:
            [number] = await unit.parking.park([row], state="running")
        self._own = msgspec.structs.replace(row, id=number)

    async def _forget(self, rows: Sequence[Parked]) -> None:
        if rows:
            async with self._store.transaction() as unit:
                await unit.parking.settle(rows, "handled", self._clock.now())


def caution(deaths: int) -> int:
    """For how many deliveries a lane is careful when a process of its service died, one of so many not long ago."""
    doublings = min(max(deaths - DEATHS, 0), DOUBLINGS_AT_MOST)
    return CAUTION << doublings


def forgotten(lost: Sequence[Standing], now: float) -> list[Standing]:
    """Which of these lost processes need not be known any more: the old ones, and of too many the oldest."""
    died = sorted((one.due_at or 0.0, one.delivery.id) for one in lost)
    kept = {number for at, number in died[-MOST_REMEMBERED:] if at > now - REMEMBER_SECONDS}
    return [one for one in lost if one.delivery.id not in kept]


def _services(one: Standing) -> list[str]:
    return msgspec.json.decode(one.delivery.body, type=list[str])
