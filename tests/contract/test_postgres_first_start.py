"""Several processes that start at once in a place where minuet never was: one makes the tables, and all work."""

import asyncio
import uuid

import psycopg
import pytest

from minuet.brokers.postgres import PostgresBroker
from minuet.databases.postgres import LOCKS
from minuet.databases.postgres.place import PostgresPlace
from minuet.databases.postgres.schemas import drop
from minuet.stores.postgres import PostgresStore
from tests.acceptance.postgres_pairs import POSTGRES, look, postgres_pair
from tests.contract.servers import needs, url_of

pytestmark = needs("postgres")

WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = ? AND objid = 1 AND NOT granted"


@pytest.fixture
def fresh_database():
    """A database in which nobody has made anything."""
    pair = postgres_pair(POSTGRES)
    yield pair.store
    pair.dropped()


@pytest.fixture
def fresh_schema():
    """The name of a schema that nobody has made."""
    url = f"{url_of('postgres')}?schema=first_{uuid.uuid4().hex[:12]}"
    yield url
    asyncio.run(drop(PostgresPlace.from_url(url)))


@pytest.mark.parametrize("fixture", ["fresh_database", "fresh_schema"])
@pytest.mark.parametrize("adapter", [PostgresBroker, PostgresStore])
def test_those_that_start_at_once_all_start(adapter, fixture, request) -> None:
    """Each has seen that nothing is there and waits for its turn; whoever comes second finds what the first made."""
    url = request.getfixturevalue(fixture)
    server = url.partition("?")[0]
    starting = [adapter.from_url(url) for _ in range(3)]

    async def play() -> None:
        async with await psycopg.AsyncConnection.connect(server) as turn, asyncio.timeout(60):
            await turn.execute("SELECT pg_advisory_xact_lock(%s, 1)", (LOCKS,))
            opening = [asyncio.create_task(each.open()) for each in starting]
            while len(look(server, WAITING, LOCKS)) < len(starting):  # noqa: ASYNC110  # the server tells nobody
                await asyncio.sleep(0)
            await turn.commit()
            opened = await asyncio.gather(*opening, return_exceptions=True)
        for each, outcome in zip(starting, opened, strict=True):
            if outcome is None:
                await each.close()
        assert opened == [None, None, None]

    asyncio.run(play())
