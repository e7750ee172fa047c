"""A log that was restored so that events would be lost is refused, with what to do; done that, it goes on."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from minuet import App
from minuet.errors import BrokerUnavailable
from tests.acceptance.crash_shop import TRANSACTIONAL, Ordered, order, services
from tests.acceptance.own_servers import own_server
from tests.acceptance.postgres_pairs import POSTGRES, PostgresPair, command, look, postgres_pair
from tests.contract.servers import needs

pytestmark = [*needs("postgres"), pytest.mark.slow]


@pytest.fixture
def where() -> Iterator[PostgresPair]:
    """A database in which two orders wait."""
    made = postgres_pair(POSTGRES)
    asyncio.run(order(made, [("a", "handled"), ("b", "handled")]))
    yield made
    made.dropped()


async def worked(where: PostgresPair) -> None:
    """Emit another order and work off all there are."""
    payments, receipts = services(TRANSACTIONAL, 1)
    async with App([payments, receipts], **where.urls(), observers=()).running() as app:
        await payments.emit(Ordered(order="c", fate="handled"))
        await where.worked_off(app)


async def examined(where: PostgresPair) -> bool | None:
    """What `minuet doctor` is told of the log."""
    broker, _ = where.adapters()
    await broker.open(create=False)
    try:
        return next(each.well for each in await broker.examine() if each.subject == "postgres.log")
    finally:
        await broker.close()


def program(name: str, *arguments: str, said: str = "") -> str:
    """Run one of PostgreSQL's programs; what it printed."""
    found = shutil.which(name)
    assert found is not None
    return subprocess.run([found, *arguments], input=said, capture_output=True, text=True, check=True).stdout


def test_a_log_whose_sequence_is_behind_is_refused_until_it_is_set(where: PostgresPair) -> None:
    """Its numbers would meet old ones; once the sequence is set as is said, nothing is lost."""
    command(where.broker, "SELECT setval(pg_get_serial_sequence('minuet_log', 'seq'), 1)")
    with pytest.raises(BrokerUnavailable, match=r"goes up to number 2, and its sequence is at 1.*setval"):
        asyncio.run(worked(where))
    assert asyncio.run(examined(where)) is False
    assert look(where.broker, "SELECT count(*) FROM minuet_log") == [(2,)]
    command(where.broker, "SELECT setval(pg_get_serial_sequence('minuet_log', 'seq'), 2)")
    asyncio.run(worked(where))
    assert sorted(where.look("SELECT order_id FROM charges")) == [("a",), ("b",), ("c",)]


def test_a_log_of_another_server_is_refused(where: PostgresPair) -> None:
    """A dump restored where transactions are younger than the log's: what came now would count as read."""
    dumped = program("pg_dump", where.broker)
    with own_server() as server:
        fresh = postgres_pair(POSTGRES, server.urls()["postgres"])
        program("psql", "-q", "-v", "ON_ERROR_STOP=1", fresh.broker, said=dumped)
        with pytest.raises(BrokerUnavailable, match=r"restored from another server.*pg_resetwal --epoch=1"):
            asyncio.run(worked(fresh))
        assert look(fresh.broker, "SELECT count(*) FROM minuet_log") == [(2,)]
