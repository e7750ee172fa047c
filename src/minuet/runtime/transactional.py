"""The lane of a reaction that takes a transaction: a batch shares one commit, each turn behind its own savepoint, or
several behind one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from minuet.errors import CommitRefused, OutOfStep, TransactionLost
from minuet.ports.broker import Delivery, Message
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import Parked, Unit
from minuet.runtime.claiming import Claimed, both, claim, give_back_unheard, killed_before
from minuet.runtime.inlets import Inlet
from minuet.runtime.lanes import Lane, failure
from minuet.runtime.reactor import Reactor
from minuet.runtime.reading import Arrival
from minuet.runtime.recording import Recorder, parked_from
from minuet.runtime.rounds import RoundSize, SharedMark, Suspicion
from minuet.runtime.surroundings import Surroundings
from minuet.service.context import Writes

MOST_CLAIMED = 16
"""How many deliveries a careful round claims. Should the process die with them, each is claimed by itself from then on.
"""
Subject = tuple[type, int]
"""The same for the same delivery, however often it is taken."""


class TransactionalLane(Lane):
    """Runs its reaction inside the transaction that takes, records and emits."""

    def __init__(self, reactor: Reactor, inlet: Inlet, surroundings: Surroundings, changed: asyncio.Event) -> None:
        super().__init__(reactor, inlet, surroundings, changed)
        self._size = RoundSize()
        self._mark = SharedMark()
        self._suspicion = Suspicion[Subject]()
        self._careful = 0
        """How many deliveries are still to be claimed a few at a time before they run, because a process died with
        some."""
        self._unheard = False
        """Whether a round that claims has failed, of which it is not known whether it was committed."""
        self._sees_decoded = self.observes(Point.DECODED)

    def _finished(self) -> bool:
        return self.stopping

    def be_careful(self, deliveries: int) -> None:
        """Claim at least so many deliveries durably before they run: one of them may kill this process, and then its
        attempt counts.
        """
        self._careful = max(self._careful, deliveries)
        self.look()

    async def _has_work(self) -> bool:
        return (self._unheard and not self.stopping) or await super()._has_work()

    async def _round(self) -> None:
        if self._careful or self._unheard:
            await self._round_carefully()
            return
        subjects = list[Delivery | Parked]()
        try:
            async with self.surroundings.alone.round():
                recorder = None if self.stopping else await self._round_together(subjects)
        except CommitRefused as refused:
            self._suspicion.refused([_which(subject) for subject in subjects], refused)
            raise
        except OutOfStep:
            self._mark.wrong()
            raise
        if recorder is None:
            self.may_be_parked = True
            return
        self._suspicion.committed()
        recorder.committed()
        await recorder.count_late(self.store)

    async def _round_together(self, subjects: list[Delivery | Parked]) -> Recorder | None:
        """A round in one transaction; what meets the reaction in it is added to `subjects`. None when there was reason
        to be careful by the time it began.
        """
        suspects = bool(self._suspicion)
        most = 1 if suspects else self._size.most
        async with self.store.transaction(alone=self._size.slow or suspects) as unit:
            if self._careful:
                return None
            now = asyncio.get_running_loop().time
            began = now()
            recorder = self._recorder(unit)
            await self.inlet.enter(unit)
            # Asked afterwards: what the inbox knows because another process was quicker may be parked since then.
            taken, busy = await both(self.inlet.take(unit, most), unit.parking.busy(self.reactor.id))
            asked = busy and not (taken and suspects)
            due = await unit.parking.due(self.reactor.id, self.due_by(), most, run=False) if asked else []
            if any(map(killed_before, due)):
                self._careful, due = max(self._careful, len(due)), []
            subjects += [*due, *taken]
            self._size.took(subjects)
            if self.observes(Point.RECEIVED):
                self.observe_each(Point.RECEIVED, subjects)
            if busy:
                taken = await self._park_blocked(unit, taken)
            runs = now()
            for parked in due:
                await self._turn(unit, recorder, parked)
            ahead = await self._run(unit, recorder, taken)
            self._size.ran(now() - runs)
            await self._finish(unit, recorder, ahead=ahead)
            self.may_be_parked = self.may_be_parked or busy or recorder.parked
            self._size.lasted(now() - began)
        if ahead:
            self._mark.right()
        return recorder

    async def _finish(self, unit: Unit, recorder: Recorder, *, ahead: bool) -> None:
        """Write what is written once a round. With turns that ran `ahead`, it is known only now, or by the commit,
        whether all was right.

        Raises OutOfStep when it was not: the round is done again, each turn by itself.
        """
        proven = ahead and unit.commit_proves
        try:
            await recorder.finish(waits=not proven)
        except Exception:
            if ahead and not await unit.caught_up():
                raise OutOfStep from None
            raise
        if ahead and not proven and not await unit.caught_up():
            raise OutOfStep

    async def _round_carefully(self) -> None:
        """Claim a few deliveries durably, then run them in a transaction: an attempt that kills the process counts."""
        turn = self.surroundings.alone
        async with turn.round():
            suspected = not self.stopping and not await self._claimed_and_ran(alone=False)
        if suspected:
            async with turn.taken():
                if not self.stopping:
                    await self._claimed_and_ran(alone=True)

    async def _claimed_and_ran(self, *, alone: bool) -> bool:
        """False: it must be done `alone`, because a process died with what is due."""
        most = 1 if alone or self._suspicion else min(self._size.most, MOST_CLAIMED)
        unheard, self._unheard = self._unheard, True
        async with self.store.transaction() as unit:
            recorder = self._recorder(unit)
            await self.inlet.enter(unit)
            if unheard:
                await give_back_unheard(self, unit, ())
            by = self.due_by()
            due = await unit.parking.due(self.reactor.id, by, most, run=False)
            waits = not alone and any(map(killed_before, due))
            claimed = Claimed() if waits else await claim(self, unit, recorder, most, by=by)
            await recorder.finish()
        recorder.committed()
        started = await claimed.begun()
        if started:
            await asyncio.sleep(0)  # on SQLite nothing need pause, and a hundred rounds would keep all others waiting
            await self._run_claimed(started)
            self._careful = max(self._careful - len(started), 0)
        self.may_be_parked = self.may_be_parked or waits or bool(started)
        self._unheard = False
        return not waits

    async def _run_claimed(self, started: Sequence[Parked]) -> None:
        """Run what is this process's own: all of it, unless this process was taken for dead meanwhile."""
        try:
            async with self.store.transaction(alone=True) as unit:
                self._size.took(started)
                began = asyncio.get_running_loop().time()
                recorder = self._recorder(unit)
                ours = await unit.parking.running([parked.id for parked in started])
                for parked in started:
                    if parked.id in ours:
                        await self._turn(unit, recorder, parked)
                self._size.ran(asyncio.get_running_loop().time() - began)
                await recorder.finish()
        except CommitRefused as refused:
            self._suspicion.refused([_which(parked) for parked in started], refused)
            raise
        self._suspicion.committed()
        recorder.committed()

    async def abandon(self) -> None:
        """Give back what a careful round claimed and, interrupted, neither ran to its end nor recorded."""
        if self._unheard:
            async with self.store.transaction() as unit:
                await give_back_unheard(self, unit, ())
            self._unheard = False

    def _recorder(self, unit: Unit) -> Recorder:
        return Recorder(self.reactor, unit, self.surroundings)

    async def _run(self, unit: Unit, recorder: Recorder, taken: Sequence[Delivery]) -> bool:
        """Run fresh deliveries in order; once one must wait, so do those of its key that come after it.

        Returns whether the last of them ran ahead: then only `caught_up`, or the commit, tells whether all was right.
        """
        waiting = set[str]()
        at, ahead = 0, False
        while at < len(taken):
            together = 0 if self._sees_decoded or self._suspicion.found else self._mark.turns(unit.turns_ahead)
            part = taken[at : at + max(together, 1)]
            at += len(part)
            if waiting and (behind := [delivery for delivery in part if delivery.key in waiting]):
                await self._park(unit, behind)
                part = [delivery for delivery in part if delivery.key not in waiting]
            last = at == len(taken) and not recorder.tells
            if len(part) == 1 and together > 1 and last and unit.answers_ahead:
                ahead = True
                await self._turn(unit, recorder, part[0], ahead=True)
            elif len(part) < 2 or not (done := await self._ran_ahead(unit, part)):
                await self._run_one_by_one(unit, recorder, part, waiting)
            else:
                ahead = last and unit.keep_ahead()
                if not ahead and not await self._caught_up(unit):
                    await self._run_one_by_one(unit, recorder, part, waiting)
                    continue
                for delivery, arrival, messages, outcome in done:
                    await recorder.handled(delivery, arrival, messages, outcome)
        return ahead

    async def _run_one_by_one(
        self, unit: Unit, recorder: Recorder, part: Sequence[Delivery], waiting: set[str]
    ) -> None:
        """Each behind a mark of its own. The keys that must wait from here on are added to `waiting`."""
        for delivery in part:
            if waiting and delivery.key in waiting:
                await self._park(unit, [delivery])
            elif await self._turn(unit, recorder, delivery) and delivery.key is not None:
                waiting.add(delivery.key)

    async def _ran_ahead(
        self, unit: Unit, taken: Sequence[Delivery]
    ) -> list[tuple[Delivery, Arrival, list[Message], Outcome]]:
        """Run all of these behind one mark, without waiting for what their statements answer where that is known.

        Nothing when anything at all went wrong: nothing of it is left, and each is to be run by itself.
        """
        reactor, done = self.reactor, list[tuple[Delivery, Arrival, list[Message], Outcome]]()
        await unit.mark()
        unit.run_ahead()
        try:
            for delivery in taken:
                arrival = reactor.read(delivery)
                if reactor.when is not None and not reactor.when(arrival.event):
                    done.append((delivery, arrival, [], Outcome.SKIPPED))
                    continue
                done.append((delivery, arrival, await self._reacted(unit, arrival, 1), Outcome.HANDLED))
        except BaseException as error:  # whatever the user's code raises: told when it is run by itself
            failure(error, stopping=self.stopping)
            await unit.caught_up()
            await self._undo_ahead(unit)
            return []
        return done

    async def _caught_up(self, unit: Unit) -> bool:
        """Keep what ran ahead, if all of it was right; otherwise nothing of it is left."""
        if not await unit.caught_up():
            await self._undo_ahead(unit)
            return False
        self._mark.right()
        await unit.keep()
        return True

    async def _undo_ahead(self, unit: Unit) -> None:
        self._mark.wrong()
        try:
            await unit.undo()
        except TransactionLost:
            self._mark.lost()
            raise

    async def _reacted(self, unit: Unit, arrival: Arrival, attempt: int) -> list[Message]:
        """Run the reaction and what it left in `Writes`; what it emitted, as messages."""
        reactor = self.reactor
        writes = Writes() if reactor.takes_writes else None
        emitted = await reactor.react(arrival, attempt, unit, writes)
        if self._task is not None and self._task.cancelling():
            await asyncio.sleep(0)  # if it was the reaction that cancelled its own task, here, and not in a neighbour's
        messages = reactor.messages(arrival, emitted, self.clock.now()) if emitted else []
        if writes is not None:
            for sql, params in writes.statements:
                await unit.transaction.execute(sql, params)
        return messages

    async def _turn(self, unit: Unit, recorder: Recorder, subject: Delivery | Parked, *, ahead: bool = False) -> bool:
        """One delivery meets the reaction, perhaps `ahead` of what its statements answer. Returns whether its key must
        wait from here on.
        """
        reactor = self.reactor
        arrival: Arrival | None = None
        try:
            arrival = reactor.read(subject)
            if self._sees_decoded:
                self.observe_each(Point.DECODED, [subject], arrival)
            if reactor.when is not None and not reactor.when(arrival.event):
                await recorder.handled(subject, arrival, [], Outcome.SKIPPED)
                return False
        except BaseException as error:  # bytes that are no event, or a predicate that fails
            return await recorder.failed(subject, arrival, failure(error, stopping=self.stopping))
        if (lost := self._suspicion.of(_which(subject))) is not None:
            return await recorder.failed(subject, arrival, lost)
        await unit.mark()
        if ahead:
            unit.run_ahead()
        try:
            attempt = subject.attempts if isinstance(subject, Parked) else 1
            messages = await self._reacted(unit, arrival, attempt)
            await (_kept_ahead(unit) if ahead else unit.keep())
        except BaseException as error:  # whatever the user's code raises
            cause = failure(error, stopping=self.stopping)
            misled = ahead and (not await unit.caught_up() or isinstance(cause, OutOfStep))
            try:
                await unit.undo()
            except TransactionLost as gone:
                self._suspicion.blame(_which(subject), gone)
                raise
            if misled:
                self._mark.wrong()
                return await self._turn(unit, recorder, subject)
            return await recorder.failed(subject, arrival, cause)
        await recorder.handled(subject, arrival, messages)
        return False

    async def _park_blocked(self, unit: Unit, taken: Sequence[Delivery]) -> Sequence[Delivery]:
        """Park what comes after an unsettled delivery of its key; the rest may run."""
        keys = [delivery.key for delivery in taken if delivery.key is not None]
        blocked = await unit.parking.blocked(self.reactor.id, keys) if keys else set[str]()
        if not blocked:
            return taken
        await self._park(unit, [delivery for delivery in taken if delivery.key in blocked])
        return [delivery for delivery in taken if delivery.key not in blocked]

    async def _park(self, unit: Unit, deliveries: Sequence[Delivery]) -> None:
        await unit.parking.park([parked_from(self.reactor.id, d) for d in deliveries], state="behind")
        if self.observes(Point.BEHIND):
            self.observe_each(Point.BEHIND, deliveries)


async def _kept_ahead(unit: Unit) -> None:
    """Keep a turn that ran ahead, now if it cannot be later."""
    if unit.keep_ahead():
        return
    if not await unit.caught_up():
        raise OutOfStep
    await unit.keep()


def _which(subject: Delivery | Parked) -> Subject:
    return (Parked, subject.id) if isinstance(subject, Parked) else (Delivery, subject.token)
