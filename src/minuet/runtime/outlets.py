"""Where a lane's emitted events go: into the log of its own transaction, or into the outbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from minuet.ports.broker import JoinedBroker, Message
from minuet.ports.clock import Clock
from minuet.ports.store import Emission


class Outlet(Protocol):
    """Takes what was emitted, as part of the transaction that records it."""

    async def put(self, unit: Emission, messages: Sequence[Message]) -> int:
        """Emit these when `unit` commits. Returns how many the log already held."""
        ...


class JoinedOutlet:
    """Into a log in the store's own database."""

    def __init__(self, broker: JoinedBroker) -> None:
        self.put = broker.publish


class OutboxOutlet:
    """Into the outbox; the relay is woken by the commit."""

    def __init__(self, clock: Clock, wake_relay: Callable[[], None]) -> None:
        self._clock = clock
        self._wake_relay = wake_relay

    async def put(self, unit: Emission, messages: Sequence[Message]) -> int:
        await unit.outbox.owe(messages, self._clock.now())
        unit.after_commit(self._wake_relay)
        return 0
