"""Processes that start at once, on files that none of them has made yet."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from minuet import App
from tests.acceptance.forked import Forked, Parent
from tests.acceptance.pairs import pair
from tests.acceptance.till_shop import CONCURRENT, tills

FILES = 15


@pytest.mark.slow
async def test_processes_that_make_one_file_at_once_all_start(tmp_path: Path) -> None:
    """Whoever comes second to a new file waits for it; nobody is told that it is locked."""
    places = [tmp_path / str(number) for number in range(FILES)]
    for place in places:
        place.mkdir()
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(Forked(start_everywhere, places)) for _ in range(3)]
        for process in processes:
            await process.says("ready")
        for process in processes:
            process.tell("go")
        assert [await process.ended() for process in processes] == [0, 0, 0]


async def start_everywhere(parent: Parent, places: list[Path]) -> None:
    """Start and stop on each file in turn."""
    parent.say("ready")
    parent.wait_for_word()
    for place in places:
        app = App([tills(CONCURRENT)], **pair("joined", place).urls(), observers=())
        async with app.running():
            pass
