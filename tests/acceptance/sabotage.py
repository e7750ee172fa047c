"""Trouble with a database, made from outside: what a full disk or a missing table does, at an exact moment."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def refusing(file: Path, table: str, when: str = "1") -> Generator[None]:
    """While the block runs, the file takes no row into this table for which the SQL condition holds."""
    command(
        file,
        f"CREATE TRIGGER refusing_{table} BEFORE INSERT ON {table} WHEN {when} "
        "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    )
    try:
        yield
    finally:
        command(file, f"DROP TRIGGER refusing_{table}")


def command(file: Path, *statements: str) -> None:
    """Perform statements on a connection of one's own, and commit."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
