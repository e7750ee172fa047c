"""Who is taken for dead, and when: not whoever lost a session and lives, and soon or late whoever died."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import psycopg
import pytest

from minuet.databases.postgres.place import CONNECT_SECONDS
from minuet.errors import StoreUnavailable
from minuet.ports.store import Parked
from minuet.stores.postgres import PostgresStore
from tests.acceptance.outages import away, end_lock_of
from tests.acceptance.own_servers import own_server
from tests.acceptance.postgres_pairs import POSTGRES, beside, command, look, postgres_pair
from tests.contract.servers import needs

pytestmark = [*needs("postgres"), pytest.mark.slow]

NOBODY = 0


@pytest.fixture
def url() -> Iterator[str]:
    """A database of the test's own."""
    pair = postgres_pair(POSTGRES)
    yield pair.store
    pair.dropped()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    """A store as a process of its own has it open."""
    store = PostgresStore.from_url(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def runs(store: PostgresStore) -> None:
    """Let this store's process run something."""
    parked = Parked(id=0, consumer="c", topic="t", key=None, event_id="1", source="s", headers={}, body=b"", attempts=1)
    async with store.transaction() as unit:
        await unit.parking.park([parked], state="running")


async def reclaimed(store: PostgresStore) -> float:
    """Look until something is found that a dead process ran; when that is, by the monotonic clock."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(psycopg.Error, StoreUnavailable):  # its connections may be those of before
                if await store.reclaim(time.time()):
                    return time.monotonic()


def test_whose_session_alone_is_ended_lives(url) -> None:
    """A neighbour whose own session stands looks twice before it believes in a death."""

    async def play() -> None:
        async with opened(url) as store, opened(url) as neighbour:
            await runs(store)
            for _ in range(5):
                end_lock_of(url, store.database.member)
                assert await neighbour.reclaim(time.time()) == NOBODY

    asyncio.run(play())


def test_who_has_just_lost_its_lock_judges_nobody(url) -> None:
    """With its own lock gone, unnoticed yet, it cannot tell a death from an outage; a really dead one comes later."""

    async def play() -> None:
        async with opened(url) as judge:
            async with opened(url) as other:
                await runs(other)
            end_lock_of(url, judge.database.member)
            assert await judge.reclaim(time.time()) == NOBODY
            await reclaimed(judge)

    asyncio.run(play())


def test_who_holds_no_lock_judges_nobody_though_it_is_connected(url) -> None:
    """Behind an address that leads to another server now, nobody's lock is held; its own is taken there first."""

    async def play() -> float:
        async with opened(url) as judge:
            async with opened(url) as other:
                await runs(other)
            judge.database._number += 1  # what it holds is not what this server knows of it
            begun = time.monotonic()
            assert await judge.reclaim(time.time()) == NOBODY
            return await reclaimed(judge) - begun

    assert asyncio.run(play()) > CONNECT_SECONDS


def test_who_died_in_an_outage_is_known_after_a_grace(url) -> None:
    """Its work is begun again, but only once everybody who lives has had the time to come back."""

    async def play() -> float:
        async with opened(url) as judge:
            async with opened(url) as dying:
                await runs(dying)
                with away(url):
                    await dying.close()
                    back = time.monotonic()
            return await reclaimed(judge) - back

    assert asyncio.run(play()) > CONNECT_SECONDS


@pytest.fixture
def cut_off(url) -> Iterator[str]:
    """The URL of the database for a user of its own, who may do anything there."""
    name = f"minuet_{uuid.uuid4().hex[:12]}"
    command(beside(url), f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD 'secret'")
    parts = urlsplit(url)
    yield parts._replace(netloc=f"{name}:secret@{parts.netloc.rpartition('@')[2]}").geturl()
    command(url, f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP ROLE {name}")


def test_who_starts_in_an_outage_judges_nobody_at_once(url, cut_off) -> None:
    """It was refused itself before it came in: others who live may still be outside."""

    async def play() -> None:
        async with opened(cut_off) as outside:
            await runs(outside)
            fresh = PostgresStore.from_url(url)
            with away(url):
                command(beside(url), f"ALTER ROLE {urlsplit(cut_off).username} NOLOGIN")
                with pytest.raises(StoreUnavailable):
                    await fresh.open()
            await fresh.open()
            try:
                assert await fresh.reclaim(time.time()) == NOBODY
                command(url, f"ALTER ROLE {urlsplit(cut_off).username} LOGIN")
                async with asyncio.timeout(30):
                    while not await held(outside):
                        pass
                assert await fresh.reclaim(time.time()) == NOBODY
            finally:
                await fresh.close()

    async def held(store: PostgresStore) -> bool:
        sql = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = ? AND granted"
        return bool(await asyncio.to_thread(look, url, sql, int(store.database.member)))

    asyncio.run(play())


def test_nobody_is_dead_on_a_server_that_has_just_started() -> None:
    """Who starts first after a restart was never refused, and waits for the others all the same."""
    age = "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8"

    async def play(url: str) -> float:
        async with opened(url) as before:
            await runs(before)
            await asyncio.to_thread(services.kill, "postgres")
        async with opened(url) as fresh:
            await reclaimed(fresh)
        return float(str(look(url, age)[0][0]))

    with own_server() as services:
        assert asyncio.run(play(services.urls()["postgres"])) > CONNECT_SECONDS


def test_who_is_dead_on_a_quiet_database_is_known_at_once(url) -> None:
    """Without an outage a death is believed within a second, also by who starts then."""

    async def play() -> float:
        async with opened(url) as dying:
            await runs(dying)
        async with opened(url) as fresh:
            begun = time.monotonic()
            return await reclaimed(fresh) - begun

    assert asyncio.run(play()) < CONNECT_SECONDS
