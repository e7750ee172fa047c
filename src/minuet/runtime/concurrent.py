"""The lane of a reaction without a transaction: many at once, none holding a lock, recorded in shared commits.

What runs is parked in the store as this process's own. So a slow reaction delays neither its neighbours nor the
broker, a dead process's work is known and begun again, and its attempts are counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from minuet.errors import CommitRefused, NotRepeated, TransactionLost
from minuet.ports.broker import Message
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import Parked, Unit
from minuet.runtime.claiming import Claimed, claim, give_back_unheard
from minuet.runtime.crowd import ASK_SECONDS, Crowd
from minuet.runtime.inlets import Inlet
from minuet.runtime.lanes import Lane, cancelled, failure
from minuet.runtime.reactor import Reactor
from minuet.runtime.reading import Arrival
from minuet.runtime.recording import Recorder
from minuet.runtime.rounds import Suspicion
from minuet.runtime.surroundings import Surroundings
from minuet.service.context import Writes


class Ran(msgspec.Struct, frozen=True):
    """A reaction that has returned or failed, not recorded yet."""

    parked: Parked
    arrival: Arrival | None
    messages: list[Message]
    writes: Writes | None = None
    error: BaseException | None = None
    skipped: bool = False


class ConcurrentLane(Lane):
    """Claims, runs and records, with the records of one round and the claims of the next in one commit."""

    def __init__(self, reactor: Reactor, inlet: Inlet, surroundings: Surroundings, changed: asyncio.Event) -> None:
        super().__init__(reactor, inlet, surroundings, changed)
        self._running: dict[asyncio.Task[Ran], Parked] = {}
        self._ran: list[Ran] = []
        """What has ended and is recorded by the next round."""
        self._suspicion = Suspicion[int]()
        """Of what has ended, by the number that it is parked under."""
        self._last: tuple[Parked, int] | None = None
        """What is granted one more attempt after processes died with it, and the process's turn to run alone; the one
        that began last."""
        self._unheard = False
        """Whether a round has failed, of which it is not known whether it was committed."""
        self._crowd = Crowd(reactor.id)
        self._asks: asyncio.TimerHandle | None = None
        self._abandoning = False
        self._cut_short: Sequence[Parked] = ()
        """What had begun and not ended when the time to stop ran out."""

    def _finished(self) -> bool:
        return self.stopping and not self._running and not self._ran

    @property
    def _begun(self) -> list[Parked]:
        """What runs or is to be recorded."""
        return [*self._running.values(), *(one.parked for one in self._ran)]

    @property
    def at_work(self) -> bool:
        return super().at_work or bool(self._running or self._ran)

    async def _has_work(self) -> bool:
        if self._ran or (self._unheard and not self.stopping):
            return True
        if len(self._running) >= self.reactor.reaction.concurrency:
            return False
        if not self._crowd.full or self.stopping:
            return await super()._has_work()
        if await self._is_due():
            return True
        if not self._running and self._asks is None:  # what all wait for is another's: nobody tells when it is done
            self._asks = asyncio.get_running_loop().call_later(ASK_SECONDS, self._ask)
        return False

    def _ask(self) -> None:
        self._asks, self._crowd.full = None, False
        self.wake()

    async def admits(self, unit: Unit, due: int) -> bool:
        return await self._crowd.admits(unit, self.clock.now(), due, idle=not due and not self._running)

    def took(self, started: int, behind: int) -> None:
        self._crowd.took(started, behind)

    async def _round(self) -> None:
        apart = bool(self._suspicion)
        ran = self._ran[:1] if apart else self._ran
        self._ran = self._ran[len(ran) :]
        try:
            async with self.store.transaction(alone=apart) as unit:
                recorder = Recorder(self.reactor, unit, self.surroundings)
                await self.inlet.enter(unit)
                for one in await self._still_ours(unit, ran):
                    await self._record(unit, recorder, one)
                await recorder.settle()
                if self._unheard:
                    await give_back_unheard(self, unit, [*self._begun, *self._cut_short])
                claimed = await self._claim(unit, recorder) if not self.stopping else Claimed()
                await recorder.finish(waits=False)
                self.may_be_parked = self.may_be_parked or recorder.parked
        except BaseException as error:
            if isinstance(error, CommitRefused):
                self._suspicion.refused([one.parked.id for one in ran], error)
            self._ran = ran + self._ran
            self._unheard = True
            self._give_turn()
            raise
        self._unheard = False
        self._suspicion.committed()
        recorder.committed()
        for parked in await claimed.begun():
            self._start(parked)
        self._give_turn()
        await recorder.count_late(self.store)

    def leaves(self, last: Sequence[Parked]) -> Sequence[Parked]:
        alone = self.surroundings.alone
        if self._last is not None and alone.respects(self._last[1]):
            return last
        turn = alone.try_take()
        if turn is None:
            return last
        self._last = last[0], turn
        return last[1:]

    def _give_turn(self) -> None:
        """The turn to run alone is over once what had it is recorded, or was not begun after all."""
        if self._last is None:
            return
        parked, turn = self._last
        if parked.id not in {begun.id for begun in self._begun}:
            self._last = None
            self.surroundings.alone.give(turn)

    async def _still_ours(self, unit: Unit, ran: Sequence[Ran]) -> list[Ran]:
        """The fence: what was taken from this process, because it seemed dead, is recorded by who has it now; what was
        recorded in a commit whose answer was lost is recorded.
        """
        ours = await unit.parking.running([one.parked.id for one in ran]) if ran else set[int]()
        kept = [one for one in ran if one.parked.id in ours]
        if len(kept) < len(ran) and not self._unheard:
            self.observers.trouble(
                f"recording for {self.reactor.id} ({self.reactor.place})",
                NotRepeated(
                    f"{len(ran) - len(kept)} deliveries that this process ran were given to another, which took it for "
                    "dead; that one records them, and what this one did for them in the store is not recorded"
                ),
            )
        return kept

    async def _claim(self, unit: Unit, recorder: Recorder) -> Claimed:
        room = self.reactor.reaction.concurrency - len(self._running)
        if room <= 0:
            self.may_be_parked = True
            return Claimed()
        return await claim(self, unit, recorder, room)

    def _start(self, parked: Parked) -> None:
        task = asyncio.create_task(self._react(parked), name=f"{self.reactor.id} {parked.event_id}")
        self._running[task] = parked
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Ran]) -> None:
        parked = self._running.pop(task)
        if not task.cancelled():
            self._ran.append(task.result())
        elif not self._abandoning:
            self._ran.append(Ran(parked, None, [], error=cancelled()))
        self.wake()

    async def _react(self, parked: Parked) -> Ran:
        reactor = self.reactor
        arrival: Arrival | None = None
        try:
            arrival = reactor.read(parked)
            if self.observes(Point.DECODED):
                self.observe_each(Point.DECODED, [parked], arrival)
            if reactor.when is not None and not reactor.when(arrival.event):
                return Ran(parked, arrival, [], skipped=True)
            writes = Writes() if reactor.takes_writes else None
            emitted = await reactor.react(arrival, parked.attempts, None, writes)
            return Ran(parked, arrival, reactor.messages(arrival, emitted, self.clock.now()), writes)
        except BaseException as error:  # whatever the user's code raises
            return Ran(parked, arrival, [], error=failure(error, stopping=self.stopping))

    async def _record(self, unit: Unit, recorder: Recorder, one: Ran) -> None:
        failed = one.error or self._suspicion.of(one.parked.id)
        if failed is not None:
            await recorder.failed(one.parked, one.arrival, failed)
            return
        assert one.arrival is not None
        if one.writes is not None and one.writes.statements:
            await unit.mark()
            try:
                for sql, params in one.writes.statements:
                    await unit.transaction.execute(sql, params)
                await unit.keep()
            except Exception as error:  # a statement of the user's that the store refuses
                try:
                    await unit.undo()
                except TransactionLost as lost:
                    self._suspicion.blame(one.parked.id, lost)
                    raise
                await recorder.failed(one.parked, one.arrival, error)
                return
        outcome = Outcome.SKIPPED if one.skipped else Outcome.HANDLED
        await recorder.handled(one.parked, one.arrival, one.messages, outcome)

    async def abandon(self) -> None:
        """The time to stop has run out: end what runs, and leave it to whoever comes next."""
        self._abandoning = True
        begun = list(self._running.values())
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        ended = {one.parked.id for one in self._ran}
        self._cut_short = [parked for parked in begun if parked.id not in ended]
        while self._ran or self._unheard:
            await self._round()
        self._give_turn()
        if self.reactor.guarantee == "at_most_once":
            return  # what may run once only has begun: as this process's own it will be given up
        async with self.store.transaction() as unit:
            await unit.parking.give_back(self._cut_short, self.clock.now())
