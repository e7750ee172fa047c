"""The lane of a reaction that takes a transaction: a batch shares one commit, each turn behind its own savepoint."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property

from minuet.errors import CommitRefused, TransactionLost
from minuet.ports.broker import Delivery, Message
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import Parked, Unit
from minuet.runtime.claiming import claim, give_back_unheard, killed_before
from minuet.runtime.lanes import BATCH, Lane, failure
from minuet.runtime.reading import Arrival
from minuet.runtime.recording import Recorder, parked_from
from minuet.service.context import Writes

MOST_CAUTION = 256
"""After how many turns by themselves, at most, several are tried again behind one mark."""
MOST_CLAIMED = 16
"""How many deliveries a careful round claims. Should the process die with them, each is claimed by itself from then on.
"""
SLOW_SECONDS = 0.02
"""A round that took longer lets no other lane share its commit the next time."""
ROUND_SECONDS = 0.25
"""How long a round's turns should take at most. A transaction that is open for long keeps others from their events
where broker and store are one database."""


class TransactionalLane(Lane):
    """Runs its reaction inside the transaction that takes, records and emits."""

    _slow = False
    _most = 1
    """How many deliveries the next round takes: one at first, when nobody knows how long it takes."""
    _unheard = False
    """Whether a round that claims has failed, of which it is not known whether it was committed."""
    _careful = 0
    """How many deliveries are still to be claimed a few at a time before they run, because a process died with some."""
    _caution = 1
    """How many turns run by themselves after one among several behind a mark was wrong."""
    _alone = 0
    """How many of those are left."""
    _suspects = 0
    """How many deliveries are to be committed by themselves, because one among as many had its commit refused."""

    @cached_property
    def _interrupted(self) -> list[tuple[Parked, Exception]]:
        """What ran once, as it may, in a transaction that failed."""
        return []

    @cached_property
    def _sees_decoded(self) -> bool:
        return self.observes(Point.DECODED)

    def _finished(self) -> bool:
        return self.stopping

    def be_careful(self, deliveries: int) -> None:
        """Claim at least so many deliveries durably before they run: one of them may kill this process, and then its
        attempt counts.
        """
        self._careful = max(self._careful, deliveries)
        self.look()

    async def _has_work(self) -> bool:
        return bool(self._interrupted) or (self._unheard and not self.stopping) or await super()._has_work()

    async def _round(self) -> None:
        if self.reactor.guarantee == "at_most_once":
            try:
                await self._round_at_most_once()
            except BaseException:
                self._unheard = True
                raise
            self._unheard = False
            return
        if self._careful or self._unheard:
            await self._round_carefully()
            return
        subjects = list[Delivery | Parked]()
        try:
            recorder = await self._round_together(subjects)
        except CommitRefused as refused:
            if self._suspects and len(subjects) == 1:
                self.spoiled[_which(subjects[0])] = refused
            self._suspects = max(len(subjects), 1)
            raise
        self._suspects = max(self._suspects - 1, 0)
        recorder.committed()

    async def _round_together(self, subjects: list[Delivery | Parked]) -> Recorder:
        """A round in one transaction; what meets the reaction in it is added to `subjects`."""
        most = 1 if self._suspects else self._most
        async with self.store.transaction(alone=self._slow or self._suspects > 0) as unit:
            now = asyncio.get_running_loop().time
            began = now()
            recorder = self._recorder(unit)
            await self.inlet.enter(unit)
            taken = await self.inlet.take(unit, most)
            # Asked afterwards: what the inbox knows because another process was quicker may be parked since then.
            busy = await unit.parking.busy(self.reactor.id)
            asked = busy and not (taken and self._suspects)
            due = await unit.parking.due(self.reactor.id, self.clock.now(), most, run=False) if asked else []
            if any(map(killed_before, due)):
                self._careful, due = max(self._careful, len(due)), []
            subjects += [*due, *taken]
            if self.observes(Point.RECEIVED):
                self.observe_each(Point.RECEIVED, [*due, *taken])
            if busy:
                taken = await self._park_blocked(unit, taken)
            runs = now()
            for parked in due:
                await self._turn(unit, recorder, parked)
            await self._run(unit, recorder, taken)
            self._most = most_for(self._most, now() - runs)
            await recorder.finish()
            self.may_be_parked = self.may_be_parked or busy or recorder.parked
            self._slow = now() - began > SLOW_SECONDS
        return recorder

    async def _round_at_most_once(self) -> None:
        """Take for good, in a transaction of its own, then run: what is interrupted does not run again, and is given
        up in sight.
        """
        async with self.store.transaction() as unit:
            recorder = self._recorder(unit)
            await self.inlet.enter(unit)
            if self._unheard:
                await self._clear_up(unit, recorder)
            started = await claim(self, unit, recorder, self._most)
            await recorder.finish()
        self._interrupted = []
        recorder.committed()
        if not started:
            return
        try:
            async with self.store.transaction(alone=self._slow) as unit:
                began = asyncio.get_running_loop().time()
                recorder = self._recorder(unit)
                for parked in started:
                    await self._turn(unit, recorder, parked)
                self._most = most_for(self._most, asyncio.get_running_loop().time() - began)
                await recorder.finish()
                self.may_be_parked = True
                self._slow = asyncio.get_running_loop().time() - began > SLOW_SECONDS
        except Exception as error:  # the transaction that was to record them
            self._interrupted = [(parked, error) for parked in started]
            raise
        recorder.committed()

    async def _round_carefully(self) -> None:
        """Claim a few deliveries durably, then run them in a transaction: an attempt that kills the process counts."""
        if not await self._claimed_and_ran(alone=False):
            async with self.alone.taken():
                if not self.stopping:
                    await self._claimed_and_ran(alone=True)

    async def _claimed_and_ran(self, *, alone: bool) -> bool:
        """False: it must be done `alone`, because a process died with what is due."""
        most = 1 if alone or self._suspects else min(self._most, MOST_CLAIMED)
        unheard, self._unheard = self._unheard, True
        async with self.store.transaction() as unit:
            recorder = self._recorder(unit)
            await self.inlet.enter(unit)
            if unheard:
                await give_back_unheard(self, unit, ())
            due = await unit.parking.due(self.reactor.id, self.clock.now(), most, run=False)
            waits = not alone and any(map(killed_before, due))
            started = [] if waits else await claim(self, unit, recorder, most)
            await recorder.finish()
        recorder.committed()
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
                began = asyncio.get_running_loop().time()
                recorder = self._recorder(unit)
                ours = await unit.parking.running([parked.id for parked in started])
                for parked in started:
                    if parked.id in ours:
                        await self._turn(unit, recorder, parked)
                self._most = most_for(self._most, asyncio.get_running_loop().time() - began)
                await recorder.finish()
        except CommitRefused as refused:
            if len(started) == 1:
                self.spoiled[_which(started[0])] = refused
            self._suspects = len(started)
            raise
        self._suspects = max(self._suspects - 1, 0)
        recorder.committed()

    async def abandon(self) -> None:
        """Give back what a careful round claimed and, interrupted, neither ran to its end nor recorded."""
        if self._unheard and self.reactor.guarantee != "at_most_once":
            async with self.store.transaction() as unit:
                await give_back_unheard(self, unit, ())
            self._unheard = False

    async def _clear_up(self, unit: Unit, recorder: Recorder) -> None:
        """After a failed round: what has begun and is not recorded is given up, what has not begun may begin."""
        begun = [parked for parked, _ in self._interrupted]
        await give_back_unheard(self, unit, begun)
        unrecorded = await unit.parking.running([parked.id for parked in begun]) if begun else set[int]()
        for parked, error in self._interrupted:
            if parked.id in unrecorded:
                await recorder.failed(parked, None, error)

    def _recorder(self, unit: Unit) -> Recorder:
        return Recorder(self.reactor, unit, self.outlet, self.clock, self.chance, self.observers)

    async def _run(self, unit: Unit, recorder: Recorder, taken: Sequence[Delivery]) -> None:
        """Run fresh deliveries in order; once one must wait, so do those of its key that come after it."""
        waiting = set[str]()
        at = 0
        while at < len(taken):
            part = taken[at : at + self._turns_ahead(unit)]
            at += len(part)
            if waiting and (behind := [delivery for delivery in part if delivery.key in waiting]):
                await self._park(unit, behind)
                part = [delivery for delivery in part if delivery.key not in waiting]
            if len(part) < 2 or not await self._ran_ahead(unit, recorder, part):
                await self._run_one_by_one(unit, recorder, part, waiting)

    async def _run_one_by_one(
        self, unit: Unit, recorder: Recorder, part: Sequence[Delivery], waiting: set[str]
    ) -> None:
        """Each behind a mark of its own. The keys that must wait from here on are added to `waiting`."""
        for delivery in part:
            if waiting and delivery.key in waiting:
                await self._park(unit, [delivery])
            elif await self._turn(unit, recorder, delivery) and delivery.key is not None:
                waiting.add(delivery.key)

    def _turns_ahead(self, unit: Unit) -> int:
        """How many turns may run behind one mark now: fewer where they were wrong to, for a while."""
        if self._sees_decoded or self.spoiled:
            return 1
        if self._alone > 0:
            self._alone -= 1
            return 1
        return max(unit.turns_ahead, 1)

    async def _ran_ahead(self, unit: Unit, recorder: Recorder, taken: Sequence[Delivery]) -> bool:
        """Run all of these behind one mark, without waiting for what their statements answer where that is known.

        False when anything at all went wrong: nothing of it is left, and each is to be run by itself.
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
            right = await unit.caught_up()
        except BaseException as error:  # whatever the user's code raises: told when it is run by itself
            failure(error, stopping=self.stopping)
            await unit.caught_up()
            right = False
        if not right:
            self._caution = min(2 * self._caution, MOST_CAUTION)
            self._alone = self._caution
            try:
                await unit.undo()
            except TransactionLost:
                self._alone = MOST_CAUTION  # so that the one who did it is found
                raise
            return False
        self._caution = max(self._caution // 2, 1)
        await unit.keep()
        for delivery, arrival, messages, outcome in done:
            await recorder.handled(delivery, arrival, messages, outcome)
        return True

    async def _reacted(self, unit: Unit, arrival: Arrival, attempt: int) -> list[Message]:
        """Run the reaction and what it left in `Writes`; what it emitted, as messages."""
        reactor = self.reactor
        writes = Writes() if reactor.takes_writes else None
        emitted = await reactor.react(arrival, attempt, unit, writes)
        messages = reactor.messages(arrival, emitted, self.clock.now()) if emitted else []
        if writes is not None:
            for sql, params in writes.statements:
                await unit.transaction.execute(sql, params)
        return messages

    async def _turn(self, unit: Unit, recorder: Recorder, subject: Delivery | Parked) -> bool:
        """One delivery meets the reaction. Returns whether its key must wait from here on."""
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
        if self.spoiled and (lost := self.spoiled.pop(_which(subject), None)) is not None:
            return await recorder.failed(subject, arrival, lost)
        await unit.mark()
        try:
            attempt = subject.attempts if isinstance(subject, Parked) else 1
            messages = await self._reacted(unit, arrival, attempt)
            await unit.keep()
        except BaseException as error:  # whatever the user's code raises
            cause = failure(error, stopping=self.stopping)
            try:
                await unit.undo()
            except TransactionLost as lost:
                self.spoiled[_which(subject)] = lost
                raise
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


def most_for(most: int, seconds: float) -> int:
    """How many deliveries a round takes after one of at most so many, whose turns took so long."""
    if seconds <= ROUND_SECONDS / 2:
        return min(BATCH, most * 2)
    return most if seconds <= ROUND_SECONDS else max(1, int(most * ROUND_SECONDS / seconds))


def _which(subject: Delivery | Parked) -> tuple[type, int]:
    """The same for the same delivery, however often it is taken."""
    return (Parked, subject.id) if isinstance(subject, Parked) else (Delivery, subject.token)
