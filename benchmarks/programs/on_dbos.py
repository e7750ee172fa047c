"""The reference work on DBOS: a durable workflow of five transactions, on SQLite or PostgreSQL. Runs in
the peers' environment.

Each transaction inserts one state row and commits it with DBOS's own checkpoint, which is its strongest
guarantee and the one that compares with ours; the datasource shares the system database's file, as ours share
one.

- `dbos`: as documented. SQLite with the defaults that DBOS sets, every workflow started, then every result
  awaited.
- `dbos_tuned`: the fastest arrangement of it that we found. The file is switched to a write-ahead log
  beforehand, and one workflow runs after another in the caller's thread, because its threads wait for each
  other.
- `dbos_postgres`, `dbos_postgres_serial`: on PostgreSQL, every workflow started, then every result awaited; and one
  after another in the caller's thread.
"""

import importlib
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from benchmarks.programs import in_postgres
from benchmarks.programs.measurement import answer, asked
from benchmarks.programs.order import FILE, INSERT, SERVICES, check_state, create, order

WARM = 5
"""Workflows before the clock starts, so that connections are open and statements compiled."""

Work = dict[str, str | int]


def chain_of(dbos: Any, datasource: Any) -> Callable[[Work], str]:
    """The workflow: five transactions in a row."""
    text = importlib.import_module("sqlalchemy").text

    def step(service: str) -> Callable[[Work], Work]:
        insert = text(INSERT[service].replace("?, ?, ?, ?, ?, ?", ", ".join(f":{field}" for field in order(0)._fields)))

        def react(placed: Work) -> Work:
            datasource.sql_session().execute(insert, placed)
            return placed

        react.__qualname__ = service
        transaction: Callable[[Work], Work] = datasource.transaction()(react)
        return transaction

    steps = [step(service) for service in SERVICES]

    def fulfil(placed: Work) -> str:
        for react in steps:
            placed = react(placed)
        return str(placed["order_id"])

    workflow: Callable[[Work], str] = dbos.workflow()(fulfil)
    return workflow


def main() -> None:
    """Launch DBOS on a fresh file, warm it, start the clock."""
    task = asked(["dbos", "dbos_tuned", "dbos_postgres", "dbos_postgres_serial"])
    file = task.directory / FILE
    serial = task.way in {"dbos_tuned", "dbos_postgres_serial"}
    in_server = task.way.startswith("dbos_postgres")
    if in_server:
        in_postgres.create("state")
    else:
        create(file, "state")
        with sqlite3.connect(file) as connection:
            connection.execute(f"PRAGMA journal_mode={'WAL' if serial else 'DELETE'}").fetchall()
        connection.close()

    # The package is in the peers' environment alone, so type checkers here cannot see it.
    package: Any = importlib.import_module("dbos")
    dbos = package.DBOS
    url = in_postgres.url() if in_server else f"sqlite:///{file}"
    dbos(config={"name": "chain", "system_database_url": url, "log_level": "ERROR"})
    datasource = package.SQLAlchemyDatasource.create(url.replace("postgresql://", "postgresql+psycopg://", 1))
    fulfil = chain_of(dbos, datasource)
    dbos.launch()
    for number in range(WARM):
        fulfil(order(task.workflows + number)._asdict())

    started = time.perf_counter()
    if serial:
        for number in range(task.workflows):
            fulfil(order(number)._asdict())
    else:
        for handle in [dbos.start_workflow(fulfil, order(number)._asdict()) for number in range(task.workflows)]:
            handle.get_result()
    seconds = time.perf_counter() - started

    dbos.destroy()
    if in_server:
        in_postgres.check_state(task.workflows + WARM)
    else:
        check_state(file, task.workflows + WARM)
    answer({task.way.replace("_postgres", ""): task.workflows / seconds})


if __name__ == "__main__":
    main()
