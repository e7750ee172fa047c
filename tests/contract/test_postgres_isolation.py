"""A database that begins transactions in another isolation than PostgreSQL does: each statement of ours sees what
others have committed, as ever.
"""

import asyncio
import uuid

import pytest

from minuet import App, Event, Service, Transaction
from minuet.ports.observer import Point
from minuet.stores.postgres import PostgresStore
from minuet.testing.signals import Signals
from tests.acceptance.postgres_pairs import PostgresPair, command, database_of, postgres_pair
from tests.contract.servers import needs

pytestmark = needs("postgres")


@pytest.fixture(params=["repeatable read", "serializable"])
def where(request: pytest.FixtureRequest):
    """A database of the test's own."""
    found = postgres_pair("postgres")
    named = database_of(found.store)
    command(found.store, f"ALTER DATABASE {named} SET default_transaction_isolation = '{request.param}'")
    yield found
    found.dropped()


def test_of_two_that_remember_at_once_the_second_waits_and_finds_it_seen(where: PostgresPair) -> None:
    """Not: could not serialize access."""
    asyncio.run(remember_at_once(where))


async def remember_at_once(where: PostgresPair) -> None:
    one, other = PostgresStore.from_url(where.store), PostgresStore.from_url(where.store)
    await one.open()
    await other.open()
    entered, identity = asyncio.Event(), ("source", str(uuid.uuid4()))

    async def second() -> set[tuple[str, str]]:
        async with other.transaction() as unit:
            await unit.transaction.fetch_one(int, "SELECT 1")
            entered.set()
            return await unit.inbox.remember("desk.answer", [identity], 0.0)

    try:
        async with one.transaction() as unit:
            assert await unit.inbox.remember("desk.answer", [identity], 0.0) == {identity}
            waiting = asyncio.create_task(second())
            await entered.wait()
        assert await waiting == set()
    finally:
        await one.close()
        await other.close()


class Tried(Event):
    """A reaction is to change its session."""


def test_it_is_so_for_single_statements_also_after_a_reaction_that_changed_its_session(where: PostgresPair) -> None:
    """What it set is taken back, and not to what the database says."""
    asyncio.run(change_the_session(where))


async def change_the_session(where: PostgresPair) -> None:
    service, signals, store = Service("desk", owns=[Tried]), Signals(), PostgresStore.from_url(f"{where.store}?pool=1")

    @service.reaction
    async def change(tried: Tried, tx: Transaction) -> None:
        await tx.execute("SET work_mem = '8MB'")

    async with App([service], broker=where.broker, store=store, observers=[signals]).running():
        assert await level(store) == "read committed"
        await service.emit(Tried())
        await signals.reached(Point.COMMITTED)
        assert await level(store) == "read committed"


async def level(store: PostgresStore) -> object:
    """The isolation of a statement that commits by itself."""
    [(found,)] = await store.database.read("SELECT current_setting('transaction_isolation')")
    return found
