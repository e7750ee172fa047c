"""The reference work on minuet: workflows a second, fed concurrently.

256 publishers emit one order after another, each awaiting that its order is durable, with at most 500 orders
between request and end. The clock runs from the first emit until the last service's last row is committed.

- `minuet`: five transactional reactions.
- `minuet_sleep`: one of the five awaits 5 ms outside any transaction.
"""

import asyncio
import sqlite3
import time
from pathlib import Path

from benchmarks.programs.feeding import IN_FLIGHT, Flight
from benchmarks.programs.measurement import answer, asked
from benchmarks.programs.minuet_services import Chain, app_on, at_work, requested, run
from benchmarks.programs.order import FILE, check_state, create

LOOK_S = 0.001


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
    flight = Flight(IN_FLIGHT)
    chain = Chain(flight.landed, awaiting=awaiting)
    async with at_work(app_on(file, chain.services)):
        started = time.perf_counter()
        await flight.feed(lambda order: chain.orders.emit(requested(order)), workflows)
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
