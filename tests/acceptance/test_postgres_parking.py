"""Parking on PostgreSQL: who settles waits for who parks behind it, and what waits is never read through."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import msgspec
import psycopg
import pytest

from minuet.ports.store import Parked, ParkedFilter
from minuet.stores.postgres import PostgresStore
from minuet.stores.postgres.rows import SQL
from tests.contract.servers import needs, url_of

pytestmark = needs("postgres")
CONSUMER = "s.r"


@pytest.fixture
def url() -> Iterator[str]:
    """A database of the test's own."""
    name = f"parking_{uuid.uuid4().hex}"
    with psycopg.connect(url_of("postgres") or "", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
        yield urlsplit(url_of("postgres") or "")._replace(path=f"/{name}").geturl()
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def delivery(key: str) -> Parked:
    """What is parked."""
    return Parked(
        id=0, consumer=CONSUMER, topic="t", key=key, event_id=uuid.uuid4().hex, source="/s", headers=None, body="{}",
    )  # fmt: skip


async def running(store: PostgresStore, key: str) -> Parked:
    """One that this store runs."""
    async with store.transaction() as unit:
        [number] = await unit.parking.park([delivery(key)], state="running")
    return msgspec.structs.replace(delivery(key), id=number, attempts=1)


async def parks(store: PostgresStore, *keys: str) -> set[str]:
    """Park one of each key, behind what is there or else running. Returns the keys that were taken."""
    async with store.transaction() as unit:
        taken = await unit.parking.blocked(CONSUMER, keys)
        await unit.parking.park([delivery(key) for key in keys if key in taken], state="behind")
        await unit.parking.park([delivery(key) for key in keys if key not in taken], state="running")
    return taken


async def settles(store: PostgresStore, parked: Parked) -> None:
    """It is handled."""
    async with store.transaction() as unit:
        await unit.parking.settle([parked], "handled", 1.0)


async def waits(url: str, sessions: int) -> None:
    """Until so many sessions wait for locks of others."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(url, autocommit=True) as look:
        while await (await look.execute(asked)).fetchone() != (sessions,):  # noqa: ASYNC110  # another session tells nobody
            await asyncio.sleep(0)


async def states(store: PostgresStore) -> list[tuple[str | None, str]]:
    """How all stands, oldest first."""
    found = await store.parked(ParkedFilter(consumer=CONSUMER, unsettled=True))
    return [(each.delivery.key, each.state) for each in found]


async def stores(stack: AsyncExitStack, url: str, count: int) -> list[PostgresStore]:
    """As many as there are processes."""
    made = [PostgresStore.from_url(url) for _ in range(count)]
    for store in made:
        await store.open()
        stack.push_async_callback(store.close)
    return made


async def test_who_settles_waits_for_all_who_park_behind(url: str) -> None:
    """Two processes park behind a delivery that a third one settles: it is settled when both have committed, and the
    first of theirs falls due.
    """
    async with AsyncExitStack() as stack:
        runs, one, two = await stores(stack, url, 3)
        head = await running(runs, "k")
        async with one.transaction() as first:
            assert await first.parking.blocked(CONSUMER, ["k"]) == {"k"}
            async with two.transaction() as second:
                assert await second.parking.blocked(CONSUMER, ["k"]) == {"k"}
                settling = asyncio.create_task(settles(runs, head))
                await waits(url, 1)
                await second.parking.park([delivery("k")], state="behind")
            await waits(url, 1)
            await first.parking.park([delivery("k")], state="behind")
        await settling
        assert await states(runs) == [("k", "due"), ("k", "behind")]


async def test_who_runs_the_oldest_waits_for_nobody_while_more_wait(url: str) -> None:
    """With more behind it, the oldest is settled while somebody parks; his is due when its turn comes."""
    async with AsyncExitStack() as stack:
        runs, parking = await stores(stack, url, 2)
        head = await running(runs, "k")
        assert await parks(runs, "k") == await parks(runs, "k") == {"k"}
        async with parking.transaction() as unit:
            assert await unit.parking.blocked(CONSUMER, ["k"]) == {"k"}
            async with asyncio.timeout(20):
                await settles(runs, head)
            await unit.parking.park([delivery("k")], state="behind")
        for left in (3, 2, 1):
            assert await states(runs) == [("k", "due"), *[("k", "behind")] * (left - 1)]
            async with runs.transaction() as unit:
                [found] = await unit.parking.due(CONSUMER, 2.0, 9, run=True)
            await settles(runs, found)
        assert await states(runs) == []


async def test_a_key_is_not_free_when_only_what_was_seen_of_it_is_settled(url: str) -> None:
    """While somebody who asks for two keys waits for who settles the first, another parks behind the second, and what
    he saw there is settled: he parks behind the other.
    """
    async with AsyncExitStack() as stack:
        runs, late, other = await stores(stack, url, 3)
        held, head = await running(runs, "h"), await running(runs, "k")
        async with asyncio.timeout(30), runs.transaction() as unit:
            await unit.parking.settle([held], "handled", 1.0)
            await unit.parking.running([held.id])
            parking = asyncio.create_task(parks(late, "h", "k"))
            await waits(url, 1)
            assert await parks(other, "k") == {"k"}
            await settles(other, head)
        assert await parking == {"k"}
        assert sorted(await states(runs)) == [("h", "running"), ("k", "behind"), ("k", "due")]


LOOKS = {
    "parked_blocked": "'s.r', ARRAY['k', 'none']",
    "parked_promote": "'s.r', ARRAY['k', 'none'], 1",
    "parked_due": "'s.r', 10, 16",
    "parked_run": "'me', ARRAY[1, 2]",
    "parked_settle": "'handled', 1, ARRAY[1, 2]",
    "parked_forget": "ARRAY[1, 2]",
    "parked_next_due": "'s.r'",
    "parked_busy": "'s.r'",
}
"""Each statement that looks or changes a few, with its values."""


def pages(plan: dict[str, object]) -> int:
    """How many pages were looked at."""
    return sum(int(str(plan[f"Shared {kind} Blocks"])) for kind in ("Hit", "Read"))


@pytest.mark.parametrize("statement", LOOKS)
@pytest.mark.parametrize("known", ["nothing", "all"])
async def test_a_look_does_not_grow_with_what_waits(url: str, statement: str, known: str) -> None:
    """By a plan that was made while nothing waited, and by one that knows what does; of one key, and of another."""
    async with AsyncExitStack() as stack:
        await stores(stack, url, 1)
        connection = await stack.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
        connection.prepare_threshold = None
        await connection.execute("ALTER TABLE minuet_parked SET (autovacuum_enabled = off)")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE look AS {SQL[statement]}".encode())
        looked = []
        for count in (20, 5000):
            await connection.execute(
                "INSERT INTO minuet_parked (consumer, topic, key, body, attempts, history, state) "
                "SELECT 's.r', 't', CASE WHEN n % 2 = 0 THEN 'k' ELSE 'o' END, '', 0, '[]', 'behind' "
                f"FROM generate_series(1, {count}) n".encode()
            )
            if known == "all":
                await connection.execute("ANALYZE minuet_parked")
            await connection.execute("BEGIN")
            await connection.execute(SQL["parked_by_index"].encode())
            await connection.execute(f"EXPLAIN EXECUTE look ({LOOKS[statement]})".encode())
            asked = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE look ({LOOKS[statement]})"
            [(found,)] = await (await connection.execute(asked.encode())).fetchall()
            await connection.execute("ROLLBACK")
            looked.append(pages(found[0]["Plan"]))
        assert looked[1] <= looked[0] + 24
