"""The reference work on minuet with its store in PostgreSQL, fed as on SQLite (see `minuet_chain`).

- `minuet_postgres`: the broker is the same database.
- `minuet_kafka`, `minuet_rabbitmq`: the broker is that, and everything goes through inbox and outbox.

Only URLs differ. The clock runs from the first emit until the last service's last row is committed.
"""

import asyncio
import time

import psycopg

from benchmarks.programs import in_postgres
from benchmarks.programs.feeding import WARM, Flight
from benchmarks.programs.measurement import answer, asked, server
from benchmarks.programs.minuet_services import Chain, app_at, at_work, requested, run
from benchmarks.programs.order import Order

LOOK_S = 0.002


async def committed(workflows: int) -> None:
    """Return once the last service has so many rows; seen from outside, in the database."""
    async with await psycopg.AsyncConnection.connect(in_postgres.url(), autocommit=True) as connection:
        while True:
            rows = await (await connection.execute("SELECT count(*) FROM notification_state")).fetchall()
            if rows[0][0] >= workflows:
                return
            await asyncio.sleep(LOOK_S)


async def workflows_per_s(broker: str, workflows: int) -> float:
    """Feed the chain and time it."""
    flight = Flight()
    chain = Chain(flight.landed)
    async with at_work(app_at(server(broker), server("postgres"), chain.services)):

        async def send(placed: Order) -> None:
            await chain.orders.emit(requested(placed))

        await flight.feed(send, WARM, first=workflows)
        await committed(WARM)
        started = time.perf_counter()
        await flight.feed(send, workflows)
        await committed(WARM + workflows)
        return workflows / (time.perf_counter() - started)


def main() -> None:
    """Measure once in a fresh database, and count its rows afterwards."""
    task = asked(["minuet_postgres", "minuet_kafka", "minuet_rabbitmq"])
    in_postgres.create("state")
    speed = run(workflows_per_s(task.way.removeprefix("minuet_"), task.workflows))
    in_postgres.check_state(WARM + task.workflows)
    answer({"minuet": speed})


if __name__ == "__main__":
    main()
