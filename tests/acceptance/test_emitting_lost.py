"""Emitting while PostgreSQL ends connections: an idle one is not used then, and one that is lost is made up for."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from minuet import App, Event, Service
from minuet.errors import ConnectionLost, StoreUnavailable
from minuet.stores.postgres import PostgresStore
from tests.acceptance.outages import END
from tests.acceptance.own_servers import own_server
from tests.acceptance.postgres_pairs import (
    POSTGRES,
    POSTGRES_SEPARATE,
    PostgresPair,
    beside,
    command,
    database_of,
    look,
    postgres_pair,
)
from tests.contract.servers import needs

pytestmark = needs("postgres")

STUCK = "SELECT pid FROM pg_stat_activity WHERE datname = ? AND wait_event = ?"
LOGGED = "SELECT id FROM minuet_log"


class Happened(Event, key="name"):
    """Something happened."""

    name: str


@pytest.fixture
def where() -> Iterator[PostgresPair]:
    pair = postgres_pair(POSTGRES)
    yield pair
    pair.dropped()


@asynccontextmanager
async def emitting(pair: PostgresPair) -> AsyncIterator[Service]:
    """A program that only emits, and has done so: its connections are idle."""
    service = Service("witness", owns=[Happened])
    async with App([service], **pair.urls(), observers=()).connected():
        await asyncio.gather(*(service.emit(Happened(name="before"), id=f"before {n}") for n in range(5)))
        yield service


async def stuck(url: str, wait_event: str) -> int:
    """The process of a session of the database that waits for this; once there is one."""
    async with asyncio.timeout(30):
        while not (found := await asyncio.to_thread(look, beside(url), STUCK, database_of(url), wait_event)):  # noqa: ASYNC110
            await asyncio.sleep(0)
    return int(str(found[0][0]))


async def end(url: str, pid: int) -> None:
    """End a session, and return when its process is gone."""
    await asyncio.to_thread(look, beside(url), "SELECT pg_terminate_backend(?, 10000)", pid)


def test_an_idle_connection_that_was_ended_is_not_used(where) -> None:
    """After somebody has ended all sessions, whatever is asked next is answered: reads, writes, and both together."""

    async def play() -> None:
        store = PostgresStore.from_url(where.store)
        await store.open()
        try:
            for _ in range(3):
                await asyncio.gather(*(store.manifests() for _ in range(4)))
                assert look(beside(where.store), END, database_of(where.store)), "no session was ended"
                await asyncio.gather(store.manifests(), store.keep_manifest("shop", "{}"), store.manifests())
        finally:
            await store.close()

    asyncio.run(play())


@pytest.mark.parametrize("kind", [POSTGRES, POSTGRES_SEPARATE])
def test_after_a_restart_a_program_emits_as_before(kind) -> None:
    """Of a program that was idle while all its sessions were ended, the first emission succeeds."""
    where = postgres_pair(kind)

    async def play() -> None:
        async with emitting(where) as service:
            for url in {where.broker, where.store}:
                look(beside(url), END, database_of(url))
            assert await service.emit(Happened(name="after"), id="after") == "after"

    asyncio.run(play())
    kept = {*look(where.broker, LOGGED), *where.look("SELECT event_id FROM minuet_outbox")}
    where.dropped()
    assert ("after",) in kept


async def lock(where: PostgresPair) -> psycopg.AsyncConnection:
    """Somebody's transaction that keeps the log to itself."""
    connection = await psycopg.AsyncConnection.connect(where.store)
    await connection.execute("LOCK TABLE minuet_log IN ACCESS EXCLUSIVE MODE")
    return connection


def test_an_emission_whose_connection_is_lost_is_tried_again(where) -> None:
    """Its caller hears nothing of it, and the event is in the log once."""

    async def play() -> None:
        async with emitting(where) as service:
            holder = await lock(where)
            emission = asyncio.create_task(service.emit(Happened(name="1"), id="in flight"))
            await end(where.store, await stuck(where.store, "relation"))
            await holder.close()
            assert await emission == "in flight"

    asyncio.run(play())
    assert where.look(LOGGED).count(("in flight",)) == 1


def test_an_emission_that_is_lost_twice_is_told_as_unknown(where) -> None:
    """Each caller is told the id under which to emit again, and doing so makes one event."""

    async def play() -> None:
        async with emitting(where) as service:
            holder = await lock(where)
            emissions = [asyncio.create_task(service.emit(Happened(name=name), id=name)) for name in ("1", "2")]
            for _ in range(2):
                await end(where.store, await stuck(where.store, "relation"))
            told = await asyncio.gather(*emissions, return_exceptions=True)
            await holder.close()
            for name, error in zip(("1", "2"), told, strict=True):
                assert isinstance(error, StoreUnavailable)
                assert f"not known whether witness.emit(Happened) emitted event {name}" in str(error)
                assert f"Emit it again with id='{name}'" in str(error)
                assert await service.emit(Happened(name=name), id=name) == name

    asyncio.run(play())
    assert [where.look(LOGGED).count((name,)) for name in ("1", "2")] == [1, 1]


def test_a_statement_whose_connection_is_lost_is_told_in_prose(where) -> None:
    """Whoever uses the store hears minuet's words, with the server's reason and without its password."""

    async def play() -> None:
        store = PostgresStore.from_url(where.store)
        await store.open()
        try:
            holder = await psycopg.AsyncConnection.connect(where.store)
            await holder.execute("LOCK TABLE minuet_manifests IN ACCESS EXCLUSIVE MODE")
            reading = asyncio.create_task(store.manifests())
            await end(where.store, await stuck(where.store, "relation"))
            with pytest.raises(ConnectionLost, match=r"was lost: terminating connection .* is not known") as raised:
                await reading
            assert f"PostgreSQL at {store.database.place.shown} " in str(raised.value)
            await holder.close()
        finally:
            await store.close()

    asyncio.run(play())


@pytest.mark.slow
def test_an_emission_that_was_committed_and_not_answered_is_one_event() -> None:
    """A server that commits and ends the session before it says so: the second try finds the event there."""

    async def play(server: str) -> str:
        where = postgres_pair(POSTGRES, server)
        async with emitting(where) as service:
            command(server, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
            emission = asyncio.create_task(service.emit(Happened(name="1"), id="in doubt"))
            waits = await stuck(where.store, "SyncRep")
            command(server, "ALTER SYSTEM RESET synchronous_standby_names")
            await end(where.store, waits)
            there = look(where.store, LOGGED).count(("in doubt",))
            command(server, "SELECT pg_reload_conf()")
            assert await emission == "in doubt"
        return f"{there}, then {where.look(LOGGED).count(('in doubt',))}"

    with own_server() as services:
        found = asyncio.run(play(services.urls()["postgres"]))
    assert found == "1, then 1"


async def test_what_is_committed_was_emitted_whatever_ends_its_counting(where: PostgresPair) -> None:
    """The program's tasks are ended while a duplicate is counted, after the commit: nobody is told to emit again."""
    async with emitting(where) as service, await psycopg.AsyncConnection.connect(where.store) as other:
        await other.execute("LOCK TABLE minuet_counters")
        again = asyncio.create_task(service.emit(Happened(name="before"), id="before 0"))
        new = asyncio.create_task(service.emit(Happened(name="new"), id="new"))
        await stuck(where.store, "relation")
        [flushing] = [task for task in asyncio.all_tasks() if task.get_name() == "minuet emit"]
        flushing.cancel()
        await other.rollback()
        assert await asyncio.gather(again, new) == ["before 0", "new"]
    assert ("new",) in where.look(LOGGED)
