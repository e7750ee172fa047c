"""What a store's services owe the broker. The clauses are with the store's, S05, S06 and S22."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from minuet.ports.broker import Message
from minuet.ports.deliveries import LEASE_SECONDS, Owed


class Outbox(Protocol):
    """What this store's services owe the broker."""

    async def owe(self, messages: Sequence[Message], at: float) -> None:
        """Publish these after the commit, in this order."""
        ...


class HoldingOutbox(Outbox, Protocol):
    """The outbox in a transaction of the store's own."""

    async def owe_held(
        self, messages: Sequence[Message], at: float, *, series: int, lease_seconds: float = LEASE_SECONDS
    ) -> Callable[[], Sequence[Owed]]:
        """The same, and this process holds them from their birth as if it had claimed them, in order: all, some, or,
        where a store does not do this, none. Which, is answered after the commit.

        Of a key of which anything is owed that is not held in this series, nothing is: it keeps its place. So a process
        that gives back what it held, and begins another series, overtakes nothing of its own.
        """
        ...
