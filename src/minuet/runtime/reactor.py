"""A reaction made ready to run: its arguments, its result and its messages resolved once, at startup."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any

from minuet.contracts.contract import Guarantee, OnDeadLetter
from minuet.contracts.identity import Derivation
from minuet.ports.broker import Message
from minuet.ports.store import Unit
from minuet.runtime.reading import NOT_TAKEN, Arrival, EventReader
from minuet.runtime.writing import MessageWriter
from minuet.service.context import Context, Transaction, Writes
from minuet.service.emission import check_item, compile_emission
from minuet.service.reaction import Reaction, Shape

MOST_THREADS = 32
"""How many threads one sync reaction has at most."""
_within: ContextVar[str | None] = ContextVar("minuet_within_reactions_of", default=None)


def within() -> str | None:
    """The reaction whose lane this code runs in, None outside."""
    return _within.get()


@contextmanager
def inside(reaction: str) -> Generator[None]:
    """Mark what runs here, and the tasks it starts, as part of this reaction."""
    token = _within.set(reaction)
    try:
        yield
    finally:
        _within.reset(token)


class Reactor:
    """One reaction, bound to what it needs."""

    def __init__(
        self,
        reaction: Reaction,
        *,
        provided: Mapping[str, object],
        native: frozenset[object],
        guarantee: Guarantee,
        on_dead_letter: OnDeadLetter,
        writer: MessageWriter,
    ) -> None:
        self.reaction = reaction
        self.id = reaction.id
        self.service = reaction.service
        self.place = str(reaction.place)
        self.guarantee = guarantee
        self.on_dead_letter = on_dead_letter
        self.topics = tuple({contract.topic: None for contract in reaction.takes})
        self.when = _wanted(reaction)
        self.read = EventReader(reaction.takes).read
        self._writer = writer
        self._call: Callable[..., Any] = partial(reaction.function, **provided) if provided else reaction.function
        self._check = compile_emission(reaction)
        self._contracts = {contract.payload: contract for contract in reaction.emits.contracts}
        self._derive = Derivation(self.service, reaction.name).derive
        self._event_parameter = reaction.event_parameter
        self._transaction = _parameter(reaction, Transaction)
        self._native = next((need.parameter for need in reaction.needs if need.type in native), None)
        self._context = _parameter(reaction, Context)
        self._writes = _parameter(reaction, Writes)
        self._streams = reaction.emits.shape is Shape.STREAM
        self.transactional = self._transaction is not None or self._native is not None
        self.takes_writes = self._writes is not None
        self._threads: ThreadPoolExecutor | None = None
        self._in_threads = set[Future[object]]()
        if not reaction.is_async:
            threads = 1 if self.transactional else min(reaction.concurrency, MOST_THREADS)
            self._threads = ThreadPoolExecutor(threads, thread_name_prefix=self.id)

    def __repr__(self) -> str:
        lane = "in a transaction" if self.transactional else "concurrent"
        return f"<Reactor {self.id}, {lane}, {self.guarantee}>"

    @property
    def is_in_thread(self) -> bool:
        """Whether a call of it is in a thread now, also one that nobody waits for any more."""
        return any(call.running() for call in list(self._in_threads))

    def close(self) -> None:
        """Let go of its threads; one that still runs ends by itself."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def react(
        self, arrival: Arrival, attempt: int, unit: Unit | None, writes: Writes | None
    ) -> tuple[object, ...]:
        """Run the user's function; the events that it emitted, checked against its declaration."""
        arguments: dict[str, Any] = {self._event_parameter: arrival.event}
        if unit is not None:
            if self._transaction is not None:
                arguments[self._transaction] = unit.transaction
            if self._native is not None:
                arguments[self._native] = unit.native
        if self._context is not None:
            arguments[self._context] = self._context_of(arrival, attempt)
        if self._writes is not None:
            arguments[self._writes] = writes
        if self._streams:
            return self._check(await self._collect(self._call(**arguments)))
        if self._threads is not None:
            context = copy_context()

            def call() -> object:
                return context.run(_in_thread, self._call, arguments)

            done = self._threads.submit(call)
            self._in_threads.add(done)
            done.add_done_callback(self._in_threads.discard)
            return self._check(await asyncio.wrap_future(done))
        return self._check(await self._call(**arguments))

    async def _collect(self, stream: AsyncIterator[object]) -> list[object]:
        items: list[object] = []
        async for item in stream:
            check_item(self.reaction, item)
            items.append(item)
        return items

    def _context_of(self, arrival: Arrival, attempt: int) -> Context:
        return Context(
            service=self.service,
            reaction=self.reaction.name,
            event_id=arrival.event_id,
            correlation_id=arrival.correlation_id,
            causation_id=arrival.causation_id,
            key=arrival.key,
            attempt=attempt,
            time=arrival.time,
            idempotency_key=self._derive(arrival.event_id, -1),
        )

    def messages(self, arrival: Arrival, emitted: Sequence[object], at: float) -> list[Message]:
        """What the reaction emitted, as messages whose ids follow from their cause."""
        write, derive, cause = self._writer.write, self._derive, arrival.event_id
        return [
            write(
                self._contracts[type(event)],
                event,
                event_id=derive(cause, ordinal),
                at=at,
                correlation_id=arrival.correlation_id,
                causation_id=cause,
                traceparent=arrival.traceparent,
            )
            for ordinal, event in enumerate(emitted)
        ]


def _in_thread(call: Callable[..., object], arguments: dict[str, Any]) -> object:
    """Call a sync reaction. A StopIteration cannot cross from a thread to the loop: it goes as another's cause."""
    try:
        return call(**arguments)
    except StopIteration as error:
        raise RuntimeError("The reaction raised StopIteration: next() found nothing.") from error


def _wanted(reaction: Reaction) -> Callable[..., bool] | None:
    """What `when=` says, and on a topic that others share, whether the event is one that the reaction takes."""
    when: Callable[..., bool] | None = reaction.when
    if not any(contract.shares_topic for contract in reaction.takes):
        return when

    def wanted(event: object) -> bool:
        return event is not NOT_TAKEN and (when is None or when(event))

    return wanted


def _parameter(reaction: Reaction, wanted: object) -> str | None:
    return next((need.parameter for need in reaction.needs if need.type is wanted), None)
