"""The reference work on minuet: workflows a second, fed concurrently.

256 publishers emit one order after another, each awaiting that its order is durable, with at most 500 orders
between request and end. The clock runs from the first emit until the last service's last row is committed.

- `minuet`: five transactional reactions.
- `minuet_sleep`: one of the five awaits 5 ms outside any transaction.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.programs.measurement import answer, asked
from benchmarks.programs.minuet_services import Chain, app_on, requested, run
from benchmarks.programs.order import FILE, check_state, create, order
from minuet import Service

PUBLISHERS = 256
IN_FLIGHT = 500
LOOK_S = 0.001


class Flight:
    """Counts orders to their end, and holds publishers back while too many are under way."""

    def __init__(self, orders: int) -> None:
        self.over = asyncio.Event()
        self._left = orders
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    def landed(self) -> None:
        """One order's last reaction runs."""
        self._slots.release()
        self._left -= 1
        if self._left == 0:
            self.over.set()

    async def publish(self, orders: Service, numbers: Iterator[int]) -> None:
        """Be one publisher: emit orders until none is left of these numbers, which all publishers share."""
        for number in numbers:
            await self._slots.acquire()
            await orders.emit(requested(order(number)))


async def committed(file: Path, workflows: int) -> None:
    """Return once the last service has so many rows; none is ever deleted, so the last number counts."""
    connection = sqlite3.connect(file)
    query = "SELECT max(rowid) FROM notification_state"
    # The commit is seen from outside, in the file, where nothing signals it.
    while (connection.execute(query).fetchone()[0] or 0) < workflows:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    connection.close()


async def workflows_per_s(file: Path, workflows: int, *, awaiting: bool) -> float:
    """Feed the chain and time it."""
    flight = Flight(workflows)
    chain = Chain(flight.landed, awaiting=awaiting)
    async with app_on(file, chain.services).running():
        started = time.perf_counter()
        numbers = iter(range(workflows))
        async with asyncio.TaskGroup() as publishers:
            for _ in range(PUBLISHERS):
                publishers.create_task(flight.publish(chain.orders, numbers))
        await flight.over.wait()
        await committed(file, workflows)
        return workflows / (time.perf_counter() - started)


def main() -> None:
    """Measure once on a fresh file, and count its rows afterwards."""
    task = asked(["minuet", "minuet_sleep"])
    file = task.directory / FILE
    create(file, "state")
    speed = run(workflows_per_s(file, task.workflows, awaiting=task.way == "minuet_sleep"))
    check_state(file, task.workflows)
    answer({task.way: speed})


if __name__ == "__main__":
    main()
