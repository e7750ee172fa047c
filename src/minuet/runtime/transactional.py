"""The lane of a reaction that takes a transaction: a batch shares one commit, each turn behind its own savepoint."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property

from minuet.errors import TransactionLost
from minuet.ports.broker import Delivery
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import Parked, Unit
from minuet.runtime.lanes import BATCH, Lane, failure
from minuet.runtime.reading import Arrival
from minuet.runtime.recording import Recorder, parked_from
from minuet.service.context import Writes

SLOW_SECONDS = 0.02
"""A round that took longer lets no other lane share its commit the next time."""


class TransactionalLane(Lane):
    """Runs its reaction inside the transaction that takes, records and emits."""

    _slow = False

    @cached_property
    def _sees_decoded(self) -> bool:
        return self.observes(Point.DECODED)

    def _finished(self) -> bool:
        return self.stopping

    async def _round(self) -> None:
        taken: Sequence[Delivery] = ()
        if self.reactor.guarantee == "at_most_once":
            # Taken for good before it runs: what a crash interrupts does not come again.
            async with self.store.transaction() as unit:
                taken = await self.inlet.take(unit, BATCH)
        async with self.store.transaction(alone=self._slow) as unit:
            began = asyncio.get_running_loop().time()
            recorder = Recorder(self.reactor, unit, self.outlet, self.clock, self.chance, self.observers)
            consumer = self.reactor.id
            await self.inlet.enter(unit)
            busy = await unit.parking.busy(consumer)
            due = await unit.parking.due(consumer, self.clock.now(), BATCH, run=False) if busy else ()
            if not taken:
                taken = await self.inlet.take(unit, BATCH)
            if self.observes(Point.RECEIVED):
                self.observe_each(Point.RECEIVED, [*due, *taken])
            if busy:
                taken = await self._park_blocked(unit, taken)
            for parked in due:
                await self._turn(unit, recorder, parked)
            await self._run(unit, recorder, taken)
            await recorder.finish()
            self.may_be_parked = self.may_be_parked or busy or recorder.parked
            self._slow = asyncio.get_running_loop().time() - began > SLOW_SECONDS
        recorder.committed()

    async def _run(self, unit: Unit, recorder: Recorder, taken: Sequence[Delivery]) -> None:
        """Run fresh deliveries in order; once one must wait, so do those of its key that come after it."""
        waiting = set[str]()
        for delivery in taken:
            if waiting and delivery.key in waiting:
                await self._park(unit, [delivery])
            elif await self._turn(unit, recorder, delivery) and delivery.key is not None:
                waiting.add(delivery.key)

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
            writes = Writes() if reactor.takes_writes else None
            emitted = await reactor.react(arrival, attempt, unit, writes)
            messages = reactor.messages(arrival, emitted, self.clock.now()) if emitted else []
            if writes is not None:
                for sql, params in writes.statements:
                    await unit.transaction.execute(sql, params)
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


def _which(subject: Delivery | Parked) -> tuple[type, int]:
    """The same for the same delivery, however often it is taken."""
    return (Parked, subject.id) if isinstance(subject, Parked) else (Delivery, subject.token)
