"""Processes that start at once in a place that none of them has made yet."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from minuet import App, Service, Transaction
from minuet.stores.sqlite import SqliteStore
from tests.acceptance.forked import LONGEST_SECONDS, Forked, Parent
from tests.acceptance.postgres_pairs import POSTGRES, PostgresPair, postgres_pair
from tests.contract.servers import needs

FILES = 40
OTHERS = 2
"""How many processes start while the first is at its setup."""
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.slow
async def test_processes_that_make_one_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """Whoever comes second to a new file waits until it is made; nobody is told that it is locked."""
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(Forked(open_in_step, tmp_path)) for _ in range(3)]
        for number in range(FILES):
            for process in processes:
                process.tell("go")
            for process in processes:
                await process.says(f"opened {number}")
        assert [await process.ended() for process in processes] == [0, 0, 0]


async def open_in_step(parent: Parent, directory: Path) -> None:
    """Open one file after the other, each when the test says so."""
    for number in range(FILES):
        store = SqliteStore(str(directory / f"{number}.db"))
        parent.wait_for_word()
        await store.open()
        parent.say(f"opened {number}")
        await store.close()


@pytest.fixture
def where(request: pytest.FixtureRequest) -> Iterator[PostgresPair]:
    """A place in which nobody has made anything."""
    found = postgres_pair(request.param)
    yield found
    found.dropped()


@pytest.mark.parametrize("where", [pytest.param(POSTGRES, marks=needs("postgres"))], indirect=True)
async def test_setups_of_processes_that_start_at_once_run_one_after_the_other(where: PostgresPair) -> None:
    """Whoever comes while another makes the same tables waits until that is committed, finds them, and starts."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(Forked(start, where))
        await first.says("made")
        others = [await stack.enter_async_context(Forked(start, where)) for _ in range(OTHERS)]
        async with asyncio.timeout(LONGEST_SECONDS):
            while len(where.look(WAITING)) < OTHERS:  # noqa: ASYNC110  # the server tells nobody
                await asyncio.sleep(0)
        for process in (first, *others):
            process.tell("go")
        assert [await process.ended() for process in (first, *others)] == [0] * (1 + OTHERS)
    assert sorted(where.look("SELECT found FROM starts")) == [(number,) for number in range(1 + OTHERS)]


async def start(parent: Parent, where: PostgresPair) -> None:
    """Start a service that makes its table and writes how many have been there; commit when the test says so."""
    desk = Service("desk")

    @desk.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS starts (found INTEGER)")
        found = await tx.fetch_one(int, "SELECT count(*) FROM starts")
        await tx.execute("INSERT INTO starts VALUES (?)", (found,))
        parent.say("made")
        parent.wait_for_word()

    async with App([desk], **where.urls(), observers=()).running():
        pass
