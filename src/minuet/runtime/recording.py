"""How a turn ended, and the rows that say so."""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Awaitable
from types import TracebackType

import msgspec

from minuet.contracts.correlation import instance_of
from minuet.contracts.envelope import Envelope, to_structured
from minuet.core.verdict import GiveUp, Reason, judge
from minuet.errors import Rejected
from minuet.ports.broker import Attributes, Delivery, Message
from minuet.ports.observer import Outcome, Point, Turn
from minuet.ports.store import ABSORBED, Attempt, DeadLetter, Parked, Store, Unit
from minuet.runtime.outlets import count_late
from minuet.runtime.reactor import Reactor
from minuet.runtime.reading import Arrival, envelope_of
from minuet.runtime.surroundings import Surroundings

LONGEST_LINE = 2_000
"""How many characters of an error's text are kept; a dead letter has one for each attempt."""
LONGEST_TRACE = 20_000
"""How many characters of a trace a dead letter keeps; the end of it says most."""
CALLERS = ("minuet.runtime.", "asyncio.", "concurrent.futures.")
"""The modules that a reaction is called from, on the loop or in a thread."""


def parked_from(consumer: str, delivery: Delivery, attempts: int = 0) -> Parked:
    """A delivery as the store parks it: in the bytes that it came in, or structured when it came in columns."""
    headers, body = delivery.headers, delivery.body
    if isinstance(headers, Attributes):
        headers, body = None, to_structured(envelope_of(delivery)).decode()
    return Parked(
        id=0, consumer=consumer, topic=delivery.topic, key=delivery.key, event_id=delivery.id,
        source=delivery.source, headers=headers, body=body, attempts=attempts,
    )  # fmt: skip


class Recorder:
    """Writes one reaction's outcomes into a unit. One is made for each transaction."""

    def __init__(self, reactor: Reactor, unit: Unit, surroundings: Surroundings) -> None:
        self._reactor = reactor
        self._unit = unit
        self._outlet = surroundings.outlet
        self._clock = surroundings.clock
        self._chance = surroundings.chance
        self._observers = observers = surroundings.observers
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._settled: list[Parked] = []
        self.parked = False
        """Whether something was parked or fell due again."""
        self._messages: list[Message] = []
        self._absorbing: Awaitable[int] | None = None
        """Says, after the commit, how many of what was emitted the log already held."""
        self._turns: list[Turn] = []
        """What observers of the commit are told; kept only when there are any."""
        self._sees_decided = Point.DECIDED in observers.points
        self._sees_recorded = Point.RECORDED in observers.points
        self._sees_committed = Point.COMMITTED in observers.points
        self._sees_failed = Point.FAILED in observers.points
        self._keeps = self._sees_recorded or self._sees_committed

    @property
    def tells(self) -> bool:
        """Whether observers are told of a turn before it is committed."""
        return self._sees_decided or self._sees_recorded

    async def handled(
        self,
        subject: Delivery | Parked,
        arrival: Arrival,
        messages: list[Message],
        outcome: Outcome = Outcome.HANDLED,
    ) -> None:
        """It is done; these are what it emitted."""
        self._messages += messages
        if isinstance(subject, Parked) and subject.id:
            self._settled.append(subject)
        if self._keeps or self._sees_decided:
            self._tell(subject, arrival, outcome, emitted=len(messages))

    async def failed(self, subject: Delivery | Parked, arrival: Arrival | None, error: BaseException) -> bool:
        """An attempt failed: postpone it or give it up. Returns whether its key must wait from here on."""
        now = self._clock.now()
        if isinstance(subject, Delivery):
            subject = parked_from(self._reactor.id, subject, attempts=1)
        history = (*subject.history, Attempt(at=now, error=_line(error)))
        subject = msgspec.structs.replace(subject, history=history)
        reaction = self._reactor.reaction
        verdict = judge(error, subject.attempts, reaction.retry, reaction.never, self._chance.random())
        if self._reactor.guarantee == "at_most_once":
            verdict = GiveUp(Reason.AT_MOST_ONCE)
        if isinstance(verdict, GiveUp):
            return await self.give_up(subject, arrival, verdict.reason, error)
        due_at = now + verdict.seconds
        if subject.id:
            await self._unit.parking.postpone(subject, due_at)
        else:
            await self._unit.parking.park([subject], state="due", due_at=due_at)
        self.parked = True
        self._counts["retries"] += 1
        self._tell(subject, arrival, Outcome.RETRY, error=error, retry_seconds=verdict.seconds)
        return True

    async def give_up(self, parked: Parked, arrival: Arrival | None, reason: str, error: BaseException) -> bool:
        """Make it a dead letter. Returns whether its key must wait for that."""
        now = self._clock.now()
        envelope = _envelope(parked)
        letter = DeadLetter(
            id=parked.dead_letter or 0,
            consumer=parked.consumer,
            topic=parked.topic,
            key=parked.key,
            event_id=parked.event_id or (envelope.id if envelope else None),
            source=parked.source or (envelope.source if envelope else None),
            correlation_id=instance_of(envelope) if envelope else None,
            type=envelope.type if envelope else None,
            headers=parked.headers,
            body=parked.body,
            reason=str(reason),
            error=_line(error),
            trace=_trace(error),
            attempts=parked.attempts,
            history=parked.history,
            at=now,
        )
        holds = self._reactor.on_dead_letter == "hold" and parked.key is not None
        await self._unit.dead_letters.bury(letter, hold=parked if holds else None)
        if parked.id and not holds:
            await self._unit.parking.settle([parked], "dead", now)
        self.parked = True
        self._counts["dead_letters"] += 1
        self._tell(parked, arrival, Outcome.DEAD, error=error, reason=reason)
        return holds

    async def settle(self) -> None:
        """Let go of what was parked and is handled, so that the next of its key falls due."""
        if self._settled:
            await self._unit.parking.settle(self._settled, "handled", self._clock.now())
            self._settled = []

    async def finish(self, *, waits: bool = True) -> None:
        """Write what is written once a transaction: what is handled, the emitted events and the counts. Unless it
        `waits`, what the log already held is counted by `count_late`.
        """
        await self.settle()
        if self._messages:
            absorbing = self._outlet.put(self._unit, self._messages)
            if waits or not self._outlet.answers_late:
                self._counts[ABSORBED] += await absorbing
            else:
                self._absorbing = absorbing
        for name, number in self._counts.items():
            if number:
                await self._unit.counters.add(self._reactor.service, name, number)
        if self._sees_recorded:
            for turn in self._turns:
                self._observers.at(Point.RECORDED, (turn,))

    async def count_late(self, store: Store) -> None:
        """Count, once the transaction is durable, what could not be counted in it without waiting."""
        if self._absorbing is not None:
            await count_late(store, self._reactor.service, self._absorbing)

    def committed(self) -> None:
        """The transaction is durable."""
        if self._sees_committed and self._turns:
            self._observers.at(Point.COMMITTED, self._turns)

    def _tell(
        self,
        subject: Delivery | Parked,
        arrival: Arrival | None,
        outcome: Outcome,
        *,
        error: BaseException | None = None,
        emitted: int = 0,
        reason: str | None = None,
        retry_seconds: float | None = None,
    ) -> None:
        """Tell observers how a turn was decided, and keep it for those of the commit."""
        turn = turn_of(self._reactor, subject, arrival, outcome)
        if arrival is None and isinstance(subject, Parked) and (envelope := _envelope(subject)) is not None:
            turn = msgspec.structs.replace(turn, event_id=envelope.id, correlation_id=instance_of(envelope))
        turn = msgspec.structs.replace(
            turn,
            emitted=emitted,
            reason=None if reason is None else str(reason),
            retry_seconds=retry_seconds,
            error=_line(error) if error is not None else None,
        )
        if self._keeps:
            self._turns.append(turn)
        if self._sees_decided:
            self._observers.at(Point.DECIDED, (turn,))
        if error is not None and self._sees_failed:
            self._observers.at(Point.FAILED, (turn,))


def _envelope(parked: Parked) -> Envelope | None:
    """The envelope of a delivery whose payload was refused; None for bytes that are no event at all."""
    try:
        return envelope_of(parked)
    except Rejected:
        return None


def turn_of(
    reactor: Reactor, subject: Delivery | Parked, arrival: Arrival | None, outcome: Outcome | None = None
) -> Turn:
    """What observers are told of a delivery meeting this reaction."""
    return Turn(
        reaction=reactor.id,
        place=reactor.place,
        topic=subject.topic,
        event_id=subject.event_id if isinstance(subject, Parked) else subject.id,
        correlation_id=arrival.correlation_id if arrival else None,
        key=subject.key,
        attempt=max(subject.attempts, 1) if isinstance(subject, Parked) else 1,
        outcome=outcome,
    )


def _trace(error: BaseException) -> str:
    """The trace from the user's code on, without the frames that called it."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None and _is_caller(frames):
        frames = frames.tb_next
    return _writable("".join(traceback.format_exception(type(error), error, frames))[-LONGEST_TRACE:])


def _is_caller(frames: TracebackType) -> bool:
    return str(frames.tb_frame.f_globals.get("__name__", "")).startswith(CALLERS)


def _line(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as another:  # an error that fails to say what it is
        text = f"(its text cannot be had: {type(another).__qualname__})"
    return _writable(f"{type(error).__qualname__}: {text}"[:LONGEST_LINE])


def _writable(text: str) -> str:
    """Text that can be written as UTF-8: half of a surrogate pair is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()
