"""One workflow in flight on minuet, and bare commits by hand, by turns on one disk: microseconds each.

A workflow's time ends when a sixth service receives the fifth's event, which it does once that is committed.
After each workflow the file comes to rest; then five bare commits follow each other on a file of their own,
as a workflow's do.
"""

import asyncio
import sqlite3
import time
from pathlib import Path

from benchmarks.programs.measurement import answer, asked, percentile
from benchmarks.programs.minuet_services import Chain, CustomerTold, app_on, at_work, requested, run
from benchmarks.programs.order import FILE, INSERT, SERVICES, Order, check_state, connect, create, order
from minuet import Service

WARM = 20
"""Workflows and bursts of commits before any counts."""
REST_S = 0.003
"""How long the file rests between a workflow and the next measurement."""


def nothing() -> None:
    """What the fifth service does besides its work."""


def bare_commits_us(connection: sqlite3.Connection, row: Order) -> list[float]:
    """Insert one row and commit, five times; how long each took."""
    lasted: list[float] = []
    for service in SERVICES:
        started = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(INSERT[service], row)
        connection.execute("COMMIT")
        lasted.append((time.perf_counter() - started) * 1e6)
    return lasted


async def by_turns(file: Path, bare: sqlite3.Connection, workflows: int) -> tuple[list[float], list[float]]:
    """A fifth of each workflow's time, and each bare commit's, in microseconds."""
    ended = asyncio.Queue[tuple[str, float]]()
    chain = Chain(nothing)
    watcher = Service("watcher")

    @watcher.reaction
    async def see(told: CustomerTold) -> None:
        ended.put_nowait((told.order_id, time.perf_counter()))

    hops: list[float] = []
    commits: list[float] = []
    async with at_work(app_on(file, [*chain.services, watcher])):
        for number in range(WARM + workflows):
            placed = order(number)
            started = time.perf_counter()
            await chain.orders.emit(requested(placed))
            order_id, seen = await ended.get()
            if order_id != placed.order_id:
                raise SystemExit(f"{order_id} ended while only {placed.order_id} was under way.")
            hop = (seen - started) * 1e6 / len(SERVICES)
            await asyncio.sleep(REST_S)
            burst = bare_commits_us(bare, placed)
            await asyncio.sleep(REST_S)
            if number >= WARM:
                hops.append(hop)
                commits.extend(burst)
    return hops, commits


def main() -> None:
    """Measure by turns and answer percentiles."""
    task = asked(["idle"])
    file, bare_file = task.directory / FILE, task.directory / "bare.db"
    create(file, "state")
    create(bare_file, "state")
    bare = connect(bare_file)
    hops, commits = run(by_turns(file, bare, task.workflows))
    bare.close()
    check_state(file, WARM + task.workflows)
    answer(
        {
            "hop_p50": percentile(hops, 0.5),
            "hop_p99": percentile(hops, 0.99),
            "commit_p50": percentile(commits, 0.5),
            "commit_p99": percentile(commits, 0.99),
        }
    )


if __name__ == "__main__":
    main()
