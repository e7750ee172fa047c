"""Processes that open a file at once, a file that none of them has made yet."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from minuet.stores.sqlite import SqliteStore
from tests.acceptance.forked import Forked, Parent

FILES = 40


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
