"""What a PostgreSQL database does to its clients when it fails over, or somebody ends their sessions."""

from collections.abc import Iterator
from contextlib import contextmanager

from minuet.databases.postgres.witness import MEMBERS
from tests.acceptance.postgres_pairs import beside, command, database_of, look

END = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = ? AND pid <> pg_backend_pid()"
HOLDERS = """
    SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = ? AND l.locktype = 'advisory' AND l.classid = ? AND l.granted
"""


@contextmanager
def away(url: str) -> Iterator[None]:
    """The database ends everybody's session and lets nobody in, as long as the block lasts."""
    name = database_of(url)
    command(beside(url), f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        look(beside(url), END, name)
        yield
    finally:
        command(beside(url), f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def present(url: str) -> int:
    """How many processes hold the lock that says that they live."""
    return len(look(beside(url), HOLDERS, database_of(url), MEMBERS))


def end_lock_of(url: str, member: str) -> None:
    """End the session that holds a process's lock, and only that one."""
    ended = f"SELECT pg_terminate_backend(pid, 10000) FROM ({HOLDERS} AND l.objid = ?) held"
    assert look(beside(url), ended, database_of(url), MEMBERS, int(member)) == [(True,)]
