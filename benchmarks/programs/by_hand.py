"""The reference work by hand: the same SQL on the same tables, and nothing else.

No handlers, no encoding, no decoding: every row is made before the clock starts. What remains is what SQLite
and the disk ask for the rows, so a framework can come near these figures and not beyond them.

- `ceiling_execute`: 100 events a commit; each state row is an `execute`, as users write it, log rows an
  `executemany`.
- `ceiling_executemany`: the same with the state rows in one `executemany` too.
- `commit_per_hop`: one commit an event, as careful code without a framework does it.

The 100 or fewer start events are fed in one commit in all three, so that they differ in how hops share
commits alone.
"""

import gc
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.programs.measurement import answer, asked
from benchmarks.programs.order import (
    FILE,
    INSERT,
    SERVICES,
    TOPICS,
    LogRow,
    Order,
    check_state,
    connect,
    create,
    log_rows,
    order,
)

BATCH = 100
"""Events a commit."""

INTO_LOG = "INSERT INTO minuet_log (topic, key, id, source, headers, body) VALUES (?, ?, ?, ?, ?, ?)"
INTO_POSITIONS = (
    "INSERT INTO minuet_positions VALUES (?, ?) ON CONFLICT (consumer) DO UPDATE SET position = excluded.position"
)


@dataclass(frozen=True)
class Batch:
    """Some orders and the log rows of each step of the chain: `logged[0]` starts it, `logged[5]` ends it."""

    first: int
    orders: Sequence[Order]
    logged: Sequence[Sequence[LogRow]]


def batches(workflows: int) -> list[Batch]:
    """Every row that the work will write."""
    made: list[Batch] = []
    for first in range(0, workflows, BATCH):
        numbers = range(first, min(first + BATCH, workflows))
        by_order = [log_rows(number) for number in numbers]
        logged = [[rows[step] for rows in by_order] for step in range(len(TOPICS))]
        made.append(Batch(first, [order(number) for number in numbers], logged))
    return made


def feed(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write a batch's start events."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INTO_LOG, batch.logged[0])
    connection.execute("COMMIT")


def execute(connection: sqlite3.Connection, batch: Batch) -> None:
    """Five services, a commit each; state rows one by one."""
    feed(connection, batch)
    for step, service in enumerate(SERVICES):
        insert = INSERT[service]
        connection.execute("BEGIN IMMEDIATE")
        for row in batch.orders:
            connection.execute(insert, row)
        connection.executemany(INTO_LOG, batch.logged[step + 1])
        connection.execute(INTO_POSITIONS, (service, batch.first))
        connection.execute("COMMIT")


def executemany(connection: sqlite3.Connection, batch: Batch) -> None:
    """Five services, a commit each; state rows at once."""
    feed(connection, batch)
    for step, service in enumerate(SERVICES):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT[service], batch.orders)
        connection.executemany(INTO_LOG, batch.logged[step + 1])
        connection.execute(INTO_POSITIONS, (service, batch.first))
        connection.execute("COMMIT")


def commit_per_hop(connection: sqlite3.Connection, batch: Batch) -> None:
    """Five services, a commit for each event of each."""
    feed(connection, batch)
    for step, service in enumerate(SERVICES):
        insert = INSERT[service]
        for number, (row, logged) in enumerate(zip(batch.orders, batch.logged[step + 1], strict=True), batch.first):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(insert, row)
            connection.execute(INTO_LOG, logged)
            connection.execute(INTO_POSITIONS, (service, number))
            connection.execute("COMMIT")


WAYS: dict[str, Callable[[sqlite3.Connection, Batch], None]] = {
    "ceiling_execute": execute,
    "ceiling_executemany": executemany,
    "commit_per_hop": commit_per_hop,
}


def main() -> None:
    """Make the rows, start the clock, write them."""
    task = asked(list(WAYS))
    perform = WAYS[task.way]
    file = task.directory / FILE
    create(file, "state", "log")
    connection = connect(file)
    work = batches(task.workflows)
    gc.collect()
    gc.freeze()

    started = time.perf_counter()
    for batch in work:
        perform(connection, batch)
    seconds = time.perf_counter() - started

    connection.close()
    check_state(file, task.workflows)
    answer({task.way: task.workflows / seconds})


if __name__ == "__main__":
    main()
