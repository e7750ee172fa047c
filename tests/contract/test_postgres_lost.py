"""A connection that is reset in the middle of an answer is noticed, on every event loop."""

import asyncio

import psycopg
import pytest
import uvloop

from minuet.databases.postgres import PostgresDatabase
from minuet.databases.postgres.pipelining import Line
from minuet.databases.postgres.place import PostgresPlace
from tests.contract.servers import needs, url_of

pytestmark = needs("postgres")

MORE_THAN_THE_SERVER_READS = "x" * 4_000_000
"""What lies unread when the server gives a connection up makes it reset the connection, behind its last words."""


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_reset_behind_the_last_words_is_noticed(loop) -> None:
    """Last words and reset come at once: who waits for a statement or for the connection learns that it is lost."""
    url = url_of("postgres") or ""

    async def play() -> None:
        line = Line(await PostgresDatabase(PostgresPlace.from_url(url)).connect())
        try:
            slow, later = line.send("SELECT pg_sleep(60)"), line.send("SELECT $1::text", MORE_THAN_THE_SERVER_READS)
            pid = line.connection.info.backend_pid
            async with asyncio.timeout(30):
                with psycopg.connect(url.replace("postgres://", "postgresql://"), autocommit=True) as other:
                    while not asleep(other, pid):  # noqa: ASYNC110  # another session tells nobody
                        await asyncio.sleep(0)
                    other.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))  # returns when it is gone
                for statement in (slow, later):
                    with pytest.raises(psycopg.Error):
                        await statement
                await line.quiet()
            assert not line.usable
        finally:
            line.abandon()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(play())


def asleep(other: psycopg.Connection, pid: int) -> bool:
    """Whether the backend sleeps, as it was asked."""
    found = other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", (pid,))
    return bool(found.fetchall())
