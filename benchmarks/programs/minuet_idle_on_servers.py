"""One workflow in flight on minuet, its store in PostgreSQL: a hop in microseconds. See `minuet_idle`.

- `minuet_idle_postgres`: the broker is the same database.
- `minuet_idle_kafka`, `minuet_idle_rabbitmq`: the broker is that.
"""

import asyncio
import time

from benchmarks.programs import in_postgres
from benchmarks.programs.idling import REST_S, WARM
from benchmarks.programs.measurement import answer, asked, percentile, server
from benchmarks.programs.minuet_services import Chain, CustomerTold, app_at, at_work, requested, run
from benchmarks.programs.order import SERVICES, order
from minuet import Service


def nothing() -> None:
    """What the fifth service does besides its work."""


async def hops_us(broker: str, workflows: int) -> list[float]:
    """A fifth of each workflow's time, from its emit until a sixth service has received the fifth's event."""
    ended = asyncio.Queue[tuple[str, float]]()
    chain = Chain(nothing)
    watcher = Service("watcher")

    @watcher.reaction
    async def see(told: CustomerTold) -> None:
        ended.put_nowait((told.order_id, time.perf_counter()))

    hops: list[float] = []
    async with at_work(app_at(server(broker), server("postgres"), [*chain.services, watcher])):
        for number in range(WARM + workflows):
            placed = order(number)
            started = time.perf_counter()
            await chain.orders.emit(requested(placed))
            order_id, seen = await ended.get()
            if order_id != placed.order_id:
                raise SystemExit(f"{order_id} ended while only {placed.order_id} was under way.")
            await asyncio.sleep(REST_S)
            if number >= WARM:
                hops.append((seen - started) * 1e6 / len(SERVICES))
    return hops


def main() -> None:
    """Measure and answer percentiles."""
    task = asked(["minuet_idle_postgres", "minuet_idle_kafka", "minuet_idle_rabbitmq"])
    in_postgres.create("state")
    hops = run(hops_us(task.way.removeprefix("minuet_idle_"), task.workflows))
    in_postgres.check_state(WARM + task.workflows)
    answer({"hop_p50": percentile(hops, 0.5), "hop_p99": percentile(hops, 0.99)})


if __name__ == "__main__":
    main()
