"""How the reference work is fed: by publishers side by side, each awaiting that its order is taken, then the next.

The same for minuet and for every peer. Standard library only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from benchmarks.programs.order import Order, order

PUBLISHERS = 256
IN_FLIGHT = 500
IN_FLIGHT_ON_SERVERS = 4_000
"""More, where a batch waits for a broker and a database in turn; with fewer everybody waits for batches to fill."""
WARM = 64
"""Orders before the clock starts where servers are asked, so that groups have formed and statements are known."""

Send = Callable[[Order], Awaitable[object]]
"""Takes an order, and returns once it cannot be lost any more."""


class Flight:
    """Counts orders to their end, and holds publishers back while too many are under way."""

    def __init__(self, in_flight: int = IN_FLIGHT_ON_SERVERS) -> None:
        self._over = asyncio.Event()
        self._left = 0
        self._slots = asyncio.Semaphore(in_flight)

    def landed(self) -> None:
        """One order's last reaction runs."""
        self._slots.release()
        self._left -= 1
        if self._left == 0:
            self._over.set()

    async def feed(self, send: Send, orders: int, *, first: int = 0, ring: int | None = None) -> None:
        """Send so many orders, from number `first` on and round again at `ring`; return once the last has landed."""
        self._over.clear()
        self._left = orders
        numbers = (first + number % (ring or orders) for number in range(orders))
        async with asyncio.TaskGroup() as publishers:
            for _ in range(PUBLISHERS):
                publishers.create_task(self._publish(send, numbers))
        await self._over.wait()

    async def _publish(self, send: Send, numbers: Iterator[int]) -> None:
        """Be one publisher: send orders until none is left of these numbers, which all publishers share."""
        for number in numbers:
            await self._slots.acquire()
            await send(order(number))
