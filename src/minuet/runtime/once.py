"""The lane of a reaction that runs at most once: what it takes is taken for good before it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from minuet.ports.store import Parked, Unit
from minuet.runtime.claiming import claim, give_back_unheard
from minuet.runtime.inlets import Inlet
from minuet.runtime.reactor import Reactor
from minuet.runtime.recording import Recorder
from minuet.runtime.surroundings import Surroundings
from minuet.runtime.transactional import TransactionalLane


class AtMostOnceLane(TransactionalLane):
    """Takes in one transaction, runs in the next: what is interrupted does not run again, and is given up in sight."""

    def __init__(self, reactor: Reactor, inlet: Inlet, surroundings: Surroundings, changed: asyncio.Event) -> None:
        super().__init__(reactor, inlet, surroundings, changed)
        self._interrupted: list[tuple[Parked, Exception]] = []
        """What ran once, as it may, in a transaction that failed."""

    async def _has_work(self) -> bool:
        return bool(self._interrupted) or await super()._has_work()

    async def _round(self) -> None:
        try:
            async with self.surroundings.alone.round():
                if self.stopping:
                    return
                if started := await self._claimed():
                    await self._run_once(started)
        except BaseException:
            self._unheard = True
            raise
        self._unheard = False

    async def _claimed(self) -> Sequence[Parked]:
        async with self.store.transaction() as unit:
            recorder = self._recorder(unit)
            await self.inlet.enter(unit)
            if self._unheard:
                await self._clear_up(unit, recorder)
            claimed = await claim(self, unit, recorder, self._size.most)
            await recorder.finish()
        self._interrupted.clear()
        recorder.committed()
        return await claimed.begun()

    async def _run_once(self, started: Sequence[Parked]) -> None:
        try:
            async with self.store.transaction(alone=True) as unit:  # or others' mistakes would end what may run once
                self._size.took(started)
                now = asyncio.get_running_loop().time
                began = now()
                recorder = self._recorder(unit)
                for parked in started:
                    await self._turn(unit, recorder, parked)
                self._size.ran(now() - began)
                await recorder.finish()
                self.may_be_parked = True
                self._size.lasted(now() - began)
        except Exception as error:  # the transaction that was to record them
            self._interrupted.extend((parked, error) for parked in started)
            raise
        recorder.committed()

    async def _clear_up(self, unit: Unit, recorder: Recorder) -> None:
        """After a failed round: what has begun and is not recorded is given up, what has not begun may begin."""
        begun = [parked for parked, _ in self._interrupted]
        await give_back_unheard(self, unit, begun)
        unrecorded = await unit.parking.running([parked.id for parked in begun]) if begun else set[int]()
        for parked, error in self._interrupted:
            if parked.id in unrecorded:
                await recorder.failed(parked, None, error)

    async def abandon(self) -> None:
        """What it took may not begin again: it is given up as this process's own, by who comes next."""
