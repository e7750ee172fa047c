"""The reference work by hand in PostgreSQL: the same SQL on the same tables, and nothing else.

No handlers, no encoding, no decoding, and nothing is read: every row is made before the clock starts. Five services
with a connection each work side by side, each on what the one before it has committed, 256 events a commit: state rows,
log rows, position. A sixth connection feeds start events, as many a commit.

- `ceiling_asyncpg`, `ceiling_psycopg`: state rows as one statement over arrays, the fastest insertion there is. With
  psycopg a whole transaction is one pipeline.
- `ceiling_rows`: on psycopg, an INSERT for each state row, as users write them, all of a transaction in one pipeline.
"""

import asyncio
import gc
import importlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import uvloop

from benchmarks.programs import in_postgres
from benchmarks.programs.measurement import answer, asked
from benchmarks.programs.order import SERVICES, TOPICS, LogRow, Order, log_rows, order

BATCH = 256
"""Events a commit."""

INTO_LOG = """
INSERT INTO minuet_log
    (topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, octets)
SELECT m.topic, m.key, m.id, m.source, m.type, m.time, m.correlationid, m.causationid, NULL, NULL, m.body, NULL
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::text[],
    $9::text[]) WITH ORDINALITY AS m (topic, key, id, source, type, time, correlationid, causationid, body, place)
ORDER BY m.place ON CONFLICT DO NOTHING
"""
INTO_STATE = {
    name: f"INSERT INTO {name}_state SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], "
    "$6::text[])"
    for name in SERVICES
}
INTO_STATE_ROW = {name: f"INSERT INTO {name}_state VALUES ($1, $2, $3, $4, $5, $6)" for name in SERVICES}
INTO_POSITIONS = "UPDATE minuet_positions SET xid = pg_current_xact_id(), seq = $2::bigint WHERE consumer = $1::text"

Columns = list[list[Any]]


@dataclass(frozen=True)
class Batch:
    """Some orders, as rows and as columns, and the log's columns at each step: `logged[0]` starts the chain."""

    first: int
    orders: Sequence[Order]
    columns: Columns
    logged: Sequence[Columns]


def batches(workflows: int) -> list[Batch]:
    """Every row that the work will write."""
    made: list[Batch] = []
    for first in range(0, workflows, BATCH):
        numbers = range(first, min(first + BATCH, workflows))
        by_order = [log_rows(number) for number in numbers]
        orders = [order(number) for number in numbers]
        logged = [_log_columns([rows[: step + 1] for rows in by_order]) for step in range(len(TOPICS))]
        made.append(Batch(first, orders, [list(column) for column in zip(*orders, strict=True)], logged))
    return made


def _log_columns(chains: Sequence[Sequence[LogRow]]) -> Columns:
    """The columns of each chain's last event, its attributes apart and its data as body."""
    return [
        [rows[-1].topic for rows in chains],
        [rows[-1].key for rows in chains],
        [rows[-1].id for rows in chains],
        [rows[-1].source for rows in chains],
        [f"{rows[-1].topic}.v1" for rows in chains],
        [1_767_605_400.0 for _ in chains],
        [rows[0].id for rows in chains],
        [rows[-2].id if len(rows) > 1 else None for rows in chains],
        [rows[-1].body.partition('"data":')[2][:-1] for rows in chains],
    ]


Handed = asyncio.Queue[Batch | None]
"""Batches from one service to the next; None is the end."""

Perform = Callable[[Batch, int], Awaitable[None]]
"""Writes one service's part of a batch, or with -1 the start events, and commits."""


async def chained(work: Sequence[Batch], performers: Sequence[Perform]) -> None:
    """The feeder and the services side by side, each handing batches on to the next."""
    ahead = Handed()
    for batch in work:
        ahead.put_nowait(batch)
    ahead.put_nowait(None)
    async with asyncio.TaskGroup() as services:
        for step, perform in enumerate(performers, -1):
            behind = Handed()
            services.create_task(_serve(ahead, behind, perform, step))
            ahead = behind


async def _serve(ahead: Handed, behind: Handed, do: Perform, step: int) -> None:
    while (batch := await ahead.get()) is not None:
        await do(batch, step)
        behind.put_nowait(batch)
    behind.put_nowait(None)


async def on_asyncpg() -> Perform:
    """A connection of asyncpg, every statement prepared."""
    # The package is not in every environment that reads this, and has no types for all of it.
    asyncpg: Any = importlib.import_module("asyncpg")
    connection = await asyncpg.connect(in_postgres.url())

    async def perform(batch: Batch, step: int) -> None:
        async with connection.transaction():
            if step >= 0:
                await connection.execute(INTO_STATE[SERVICES[step]], *batch.columns)
            await connection.execute(INTO_LOG, *batch.logged[step + 1])
            if step >= 0:
                await connection.execute(INTO_POSITIONS, SERVICES[step], batch.first)

    return perform


async def on_psycopg(*, by_row: bool = False) -> Perform:
    """A connection of psycopg, every statement prepared, a transaction one pipeline."""
    connection = await psycopg.AsyncConnection.connect(
        in_postgres.url(), autocommit=True, prepare_threshold=0, cursor_factory=psycopg.AsyncRawCursor
    )

    async def perform(batch: Batch, step: int) -> None:
        async with connection.pipeline(), connection.transaction(), connection.cursor(binary=True) as cursor:
            if step >= 0 and by_row:
                await cursor.executemany(INTO_STATE_ROW[SERVICES[step]].encode(), batch.orders)
            elif step >= 0:
                await cursor.execute(INTO_STATE[SERVICES[step]].encode(), batch.columns)
            await cursor.execute(INTO_LOG, batch.logged[step + 1])
            if step >= 0:
                await cursor.execute(INTO_POSITIONS, (SERVICES[step], batch.first))

    return perform


async def seconds(way: str, work: Sequence[Batch]) -> float:
    """Connect, start the clock, write."""
    performers: list[Perform] = []
    for _ in range(len(SERVICES) + 1):
        if way == "ceiling_asyncpg":
            performers.append(await on_asyncpg())
        else:
            performers.append(await on_psycopg(by_row=way == "ceiling_rows"))
    gc.collect()
    gc.freeze()
    started = time.perf_counter()
    await chained(work, performers)
    return time.perf_counter() - started


def main() -> None:
    """Make the rows, write them, count them."""
    task = asked(["ceiling_asyncpg", "ceiling_psycopg", "ceiling_rows"])
    in_postgres.create("state", "log_postgres")
    work = batches(task.workflows)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lasted = runner.run(seconds(task.way, work))
    in_postgres.check_state(task.workflows)
    with psycopg.connect(in_postgres.url()) as connection:
        [(logged,)] = connection.execute("SELECT count(*) FROM minuet_log").fetchall()
    if logged != task.workflows * len(TOPICS):
        raise SystemExit(f"The log holds {logged} events of {task.workflows} workflows.")
    answer({task.way: task.workflows / lasted})


if __name__ == "__main__":
    main()
