"""Where a lane's emitted events go: into the log of its own transaction, or into the outbox."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Sequence
from typing import Protocol

from minuet.ports.broker import JoinedBroker, Message
from minuet.ports.clock import Clock
from minuet.ports.store import ABSORBED, Emission, Store, Unit
from minuet.runtime.relay import Relay


class Outlet(Protocol):
    """Takes what was emitted, as part of the transaction that records it."""

    answers_late: bool
    """Whether `put` has asked all once it is called, so that its answer may be awaited after the commit."""

    def put(self, unit: Unit, messages: Sequence[Message]) -> Awaitable[int]:
        """Emit these when `unit` commits. Awaited, it says how many the log already held."""
        ...

    def put_in_own(self, unit: Emission, messages: Sequence[Message]) -> Awaitable[int]:
        """The same in a user's own transaction, of whose commit nobody here is told."""
        ...


class JoinedOutlet:
    """Into a log in the store's own database."""

    def __init__(self, broker: JoinedBroker) -> None:
        self.answers_late = broker.answers_late
        self.put = broker.publish
        self.put_in_own = broker.publish


class OutboxOutlet:
    """Into the outbox. With the commit, the relay of this process has what it may publish without a claim, and is woken
    for the rest.
    """

    answers_late = False

    def __init__(self, clock: Clock, relay: Relay | None = None) -> None:
        self._clock = clock
        self._relay = relay

    async def put(self, unit: Unit, messages: Sequence[Message]) -> int:
        relay = self._relay
        if relay is None or (series := relay.series()) is None:
            await self.put_in_own(unit, messages)
            if relay is not None:
                unit.after_commit(relay.wake)
            return 0
        lease_seconds = relay.lease_seconds
        held = await unit.outbox.owe_held(messages, self._clock.now(), series=series, lease_seconds=lease_seconds)

        def committed() -> None:
            relay.hold(series, rows := held())
            if len(rows) < len(messages):
                relay.wake()

        unit.after_commit(committed)
        return 0

    async def put_in_own(self, unit: Emission, messages: Sequence[Message]) -> int:
        await unit.outbox.owe(messages, self._clock.now())
        return 0


async def count_late(store: Store, service: str, absorbing: Awaitable[int]) -> None:
    """Count what the log already held, once what was emitted is durable. A count that fails is let go."""
    with contextlib.suppress(Exception):  # what was emitted is, and a count is no reason to say otherwise
        if absorbed := await absorbing:
            async with store.transaction() as unit:
                await unit.counters.add(service, ABSORBED, absorbed)
