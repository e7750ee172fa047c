"""What a store keeps of deliveries that wait. The clauses are with the store's, S07 to S10, S13 and S21."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Literal, Protocol

from minuet.ports.deliveries import Parked


class Parking(Protocol):
    """Deliveries that wait: for their retry, behind their key, or while they run outside a transaction."""

    def busy(self, consumer: str) -> Awaitable[bool]:
        """Whether anything of this consumer is parked and unsettled. The quick question of the usual case, asked after
        all that was asked before it, also where that is not answered yet: the two may share a way to the server.
        """
        ...

    async def blocked(self, consumer: str, keys: Sequence[str]) -> set[str]:
        """Which of these keys have an unsettled delivery."""
        ...

    async def behind(self, consumer: str, now: float, most: int) -> int:
        """How many wait behind their keys, `most` at most. 0 while nothing of the consumer runs or is due, because then
        none of them will come to its turn soon.
        """
        ...

    def park(
        self,
        deliveries: Sequence[Parked],
        *,
        state: Literal["due", "behind", "running"],
        due_at: float | None = None,
    ) -> Awaitable[list[int]]:
        """Keep these. `running` ones belong to this process from now on. Awaited, it says their numbers: with a unit
        that `answers_ahead` it is asked when called, and may be awaited after the commit; otherwise it is to be awaited
        before the unit ends.
        """
        ...

    async def due(self, consumer: str, now: float, limit: int, *, run: bool) -> list[Parked]:
        """What is due, oldest first; `attempts` counts the one about to begin. With `run` they belong to this process
        from now on; without, they are run and recorded in this very transaction.
        """
        ...

    async def postpone(self, parked: Parked, due_at: float) -> None:
        """Its attempt failed; it is due again at this instant, with the attempts and history given."""
        ...

    async def settle(self, parked: Sequence[Parked], outcome: Literal["handled", "dead"], at: float) -> None:
        """These are done with; the next of their keys falls due, and the letter one was redriven from is resolved."""
        ...

    async def running(self, ids: Sequence[int]) -> set[int]:
        """Which of these are running and this process's own: the fence that a process taken for dead runs into."""
        ...

    async def owned(self, consumer: str) -> list[Parked]:
        """What of this consumer is running and this process's own, also what it claimed in a commit that it never
        heard of: that was never begun, and is to be given back.
        """
        ...

    async def give_back(self, parked: Sequence[Parked], now: float) -> None:
        """This process does not run these after all: they are due, and the attempt does not count. Those that are not
        running, or not its own any more, stay as they are.
        """
        ...
