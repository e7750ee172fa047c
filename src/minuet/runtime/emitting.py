"""Emitting from outside a reaction: in the caller's transaction, or durable when the call returns."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import cached_property

from minuet.contracts.attributes import check_length, check_text
from minuet.contracts.contract import Contract, contract_of
from minuet.errors import (
    ConnectionLost,
    MinuetError,
    StartupError,
    StoreUnavailable,
    TransactionLost,
    UndeclaredEmission,
)
from minuet.ports.broker import Message
from minuet.ports.clock import Clock, Ids
from minuet.ports.store import ABSORBED, Store
from minuet.runtime.outlets import Outlet, count_late
from minuet.runtime.reactor import within
from minuet.runtime.writing import MessageWriter


class AppEmitter:
    """Emits for every service of an app. Calls that come together share a commit: the first goes at once, those that
    come while it commits go with the next. Unless it `awaits`, there is nobody to commit, and only `emit_sync` emits.
    """

    def __init__(
        self,
        store: Store,
        outlet: Outlet,
        writers: Mapping[str, MessageWriter],
        owners: Mapping[str, str],
        clock: Clock,
        ids: Ids,
        *,
        awaits: bool = True,
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._writers = writers
        self._owners = owners
        self._clock = clock
        self._ids = ids
        self._awaits = awaits
        self._waiting: list[tuple[str, Message, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def emit(
        self,
        service: str,
        event: object,
        *,
        tx: object | None,
        id: str | None,  # the field's word, by keyword only
        correlation_id: str | None,
        traceparent: str | None,
    ) -> str:
        """Owe the event to the broker, in `tx` if given; the event's id."""
        if not self._awaits:
            raise StartupError(
                f"{service}.emit({type(event).__name__}) was awaited, and the app was opened by `with "
                f"app.emitting():`. Call {service}.emit_sync(), or open it by `async with app.connected():`."
            )
        event_id, message = self._written(service, event, id, correlation_id, traceparent)
        if tx is not None:
            await self._outlet.put_in_own(await self._store.adopt(tx), [message])
            return event_id
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((service, message, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="minuet emit")
        await done
        return event_id

    def emit_sync(
        self,
        service: str,
        event: object,
        *,
        tx: object,
        id: str | None,
        correlation_id: str | None,
        traceparent: str | None,
    ) -> str:
        """Owe the event to the broker in `tx`, from any thread; the event's id."""
        event_id, message = self._written(service, event, id, correlation_id, traceparent)
        _at_once(self._put(tx, message))
        return event_id

    async def _put(self, tx: object, message: Message) -> None:
        await self._outlet.put_in_own(await self._store.adopt(tx, sync=True), [message])

    def _written(
        self, service: str, event: object, id: str | None, correlation_id: str | None, traceparent: str | None
    ) -> tuple[str, Message]:
        """The event's id, and the message that carries it."""
        contract = self._contract(service, event)
        for name, text in (("id", id), ("correlationid", correlation_id), ("traceparent", traceparent)):
            if text is not None:
                check_text(name, text)
        for given, text in (("id", id), ("correlation_id", correlation_id)):
            if text is not None:
                check_length(f"{given}= of {service}.emit({contract.type})", text)
        event_id = id or self._ids.new()
        message = self._writers[service].write(
            contract,
            event,
            event_id=event_id,
            at=self._clock.now(),
            correlation_id=correlation_id or event_id,
            causation_id=None,
            traceparent=traceparent,
        )
        return event_id, message

    def _contract(self, service: str, event: object) -> Contract:
        if (reaction := within()) is not None:
            raise UndeclaredEmission(
                f"{service}.emit({type(event).__name__}) was called inside the reaction {reaction}. It would escape "
                "that reaction's transaction, and be lost or doubled when it is tried again. Return the event instead "
                "and write it in the return annotation."
            )
        contract = contract_of(type(event))
        if contract is None:
            raise UndeclaredEmission(
                f"{service}.emit() was given a {type(event).__qualname__}, which is not an event. Derive it from "
                "minuet.Event or decorate it with @contract."
            )
        owner = self._owners.get(contract.name)
        if owner is not None and owner != service:
            raise UndeclaredEmission(
                f"{service}.emit({contract.type}): the event is owned by {owner} (declared at {contract.place}), and "
                f"only its owner may say that it happened. Emit it through {owner}."
            )
        return contract

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                known = True
                durable = asyncio.Event()
                try:
                    try:
                        await self._commit(batch, durable.set)
                    except ConnectionLost:  # if it was committed all the same, these are known by their ids
                        known = False
                        await self._commit(batch, durable.set)
                except TransactionLost:  # by no fault of theirs
                    self._waiting = batch + self._waiting
                except BaseException as error:
                    if durable.is_set():  # who was cancelled is this task, while or after it committed
                        _tell_emitted(batch)
                    for service, message, done in batch:
                        if not done.done():
                            done.set_exception(_not_emitted(error) if known else _in_doubt(error, service, message))
                    if not isinstance(error, Exception):
                        raise
                else:
                    _tell_emitted(batch)
        finally:
            self._flushing = None

    async def _commit(
        self, batch: Sequence[tuple[str, Message, asyncio.Future[None]]], committed: Callable[[], None]
    ) -> None:
        emitted = defaultdict[str, list[Message]](list)
        for service, message, _ in batch:
            emitted[service].append(message)
        late = dict[str, Awaitable[int]]()
        async with self._store.transaction() as unit:
            unit.after_commit(committed)
            for service, messages in emitted.items():
                absorbing = self._outlet.put(unit, messages)
                if self._outlet.answers_late:
                    late[service] = absorbing
                elif absorbed := await absorbing:
                    await unit.counters.add(service, ABSORBED, absorbed)
        for service, absorbing in late.items():
            await count_late(self._store, service, absorbing)


def _tell_emitted(batch: Sequence[tuple[str, Message, asyncio.Future[None]]]) -> None:
    for _, _, done in batch:
        if not done.done():
            done.set_result(None)


def _in_doubt(error: BaseException, service: str, message: Message) -> BaseException:
    said = str(error).rstrip(".") or type(error).__name__
    failed = ConnectionLost(
        f"It is not known whether {service}.emit({message.topic}) emitted event {message.id}: the connection to the "
        f"store was lost while it was committed, and doing it again failed too. {said}. Emit it again with "
        f"id={message.id!r}: under one id it is the same event, however often it is emitted."
    )
    failed.__cause__ = error
    return failed


def _at_once(coroutine: Coroutine[object, object, None]) -> None:
    """Perform what never waits, as all does on a connection that is not awaited."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise MinuetError("A transaction that is not awaited was waited for; this is a fault of minuet's store or broker.")


def _not_emitted(error: BaseException) -> BaseException:
    if isinstance(error, MinuetError):
        return error
    if isinstance(error, Exception):  # the driver's own
        said = str(error).rstrip(".") or type(error).__name__
        failed = StoreUnavailable(f"The event was not emitted: {said}. Emit it again once the store is well.")
        failed.__cause__ = error
        return failed
    return MinuetError("The app was stopped before the event was durable; it was not emitted. Emit it again.")
