"""What every program does in PostgreSQL around its measurement: make the tables, and count the rows afterwards.

`psycopg` is in the project's environment and in the peers'.
"""

from pathlib import Path

import psycopg

from benchmarks.programs.measurement import server
from benchmarks.programs.order import SERVICES


def url() -> str:
    """This run's database, as drivers read it."""
    return server("postgres").replace("postgres://", "postgresql://", 1)


def create(*schemas: str) -> None:
    """Make these schemas' tables, each a .sql file beside this one."""
    with psycopg.connect(url(), autocommit=True) as connection:
        for schema in schemas:
            connection.execute((Path(__file__).parent / f"{schema}.sql").read_bytes())


def check_state(workflows: int) -> None:
    """A speed counts only if the work was done: every service holds exactly one row an order."""
    with psycopg.connect(url()) as connection:
        for name in SERVICES:
            counted = f"SELECT count(*), count(DISTINCT order_id) FROM {name}_state"
            [(rows, orders)] = connection.execute(counted.encode()).fetchall()
            if (rows, orders) != (workflows, workflows):
                raise SystemExit(f"{name} holds {rows} rows of {orders} orders where {workflows} were fed.")


def check_nothing_owed() -> None:
    """What was written by hand to an outbox was published, all of it, and forgotten there."""
    with psycopg.connect(url()) as connection:
        [(owed,)] = connection.execute("SELECT count(*) FROM outbox").fetchall()
    if owed:
        raise SystemExit(f"The outbox still holds {owed} messages.")
