"""Whose turn it is: rounds and what processes died with keep out of each other's way, and neither waits for ever."""

import asyncio

import pytest

from minuet.runtime import alone
from minuet.runtime.alone import Alone


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience that is over soon."""
    monkeypatch.setattr(alone, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(alone, "ASKED_SECONDS", 0.02)


async def asked(turn: Alone, ends: asyncio.Event) -> asyncio.Task[None]:
    """A round that is asked for, begun if it may be, and ends when it is told to."""

    async def one_round() -> None:
        async with turn.round():
            await ends.wait()

    task = asyncio.create_task(one_round())
    await settled()
    return task


async def settled() -> None:
    """All that can be done without waiting is done."""
    for _ in range(5):
        await asyncio.sleep(0)


async def passed(seconds: float) -> None:
    """So much time has passed."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    await over.wait()


def rounds(turn: Alone) -> int:
    """How many are under way."""
    return int(repr(turn).split(", ")[-1].split()[0])


async def test_the_turn_is_not_had_beside_a_round_and_none_begins_before_it_is_asked_for_again() -> None:
    """Or rounds that follow each other would keep it from ever being free."""
    turn, first, later = Alone(), asyncio.Event(), asyncio.Event()
    under_way = await asked(turn, first)
    assert turn.try_take() is None
    held = await asked(turn, later)
    first.set()
    await under_way
    assert rounds(turn) == 0
    number = turn.try_take()
    assert number is not None
    later.set()
    await settled()
    assert not held.done()
    turn.give(number)
    await held


async def test_who_asked_in_vain_and_comes_no_more_holds_rounds_for_a_moment_only(impatient) -> None:
    """The delivery may be another process's by then."""
    turn, first, later = Alone(), asyncio.Event(), asyncio.Event()
    under_way = await asked(turn, first)
    assert turn.try_take() is None
    first.set()
    later.set()
    await under_way
    await (await asked(turn, later))


async def test_rounds_that_are_let_in_count_before_they_go_on() -> None:
    """Or the next last attempt, which is quicker, would be beside them."""
    turn, ends = Alone(), asyncio.Event()
    first = turn.try_take()
    assert first is not None
    held = await asked(turn, ends)
    turn.give(first)
    assert turn.try_take() is None
    ends.set()
    await held
    assert rounds(turn) == 0
    assert turn.try_take() is not None


@pytest.mark.parametrize("let_in", [False, True])
async def test_a_round_that_is_cancelled_while_it_waits_counts_no_more(let_in) -> None:
    """Whether or not it has been let in by then."""
    turn = Alone()
    number = turn.try_take()
    assert number is not None
    held = await asked(turn, asyncio.Event())
    if let_in:
        turn.give(number)
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    turn.give(number)
    assert rounds(turn) == 0
    assert turn.try_take() is not None


async def test_who_waits_for_the_turn_waits_for_rounds_too() -> None:
    """They might hold what kills."""
    turn, ends = Alone(), asyncio.Event()
    under_way = await asked(turn, ends)

    async def take() -> int:
        async with turn.taken():
            return rounds(turn)

    taking = asyncio.create_task(take())
    await settled()
    assert not taking.done()
    ends.set()
    assert await taking == 0
    await under_way


async def test_a_last_attempt_waits_for_a_round_that_does_not_end_for_so_long_only(impatient) -> None:
    """It may take hours, or wait for what the last attempt does."""
    turn, ends = Alone(), asyncio.Event()
    under_way = await asked(turn, ends)
    async with turn.taken():
        assert rounds(turn) == 1
    vain = 0
    while (number := turn.try_take()) is None:
        vain += 1
        await passed(0.005)
    assert vain > 1
    turn.give(number)
    ends.set()
    await under_way


async def test_a_turn_is_respected_for_so_long_only(impatient) -> None:
    """A last attempt may take hours: others have the turn then, and rounds go on, as many as there are."""
    turn, ends = Alone(), asyncio.Event()
    ends.set()
    old = turn.try_take()
    assert old is not None
    for _ in range(2):
        await (await asked(turn, ends))
    assert not turn.respects(old)
    async with turn.taken():
        turn.give(old)
        assert turn.try_take() is None
    new = turn.try_take()
    assert new is not None
    assert turn.respects(new)


async def test_one_has_the_turn_at_a_time() -> None:
    """Whoever asks meanwhile waits for it, or is refused."""
    turn = Alone()
    async with turn.taken():
        assert turn.try_take() is None
        waiting = asyncio.create_task(turn.taken().__aenter__())
        await settled()
        assert not waiting.done()
    await waiting
    assert turn.try_take() is None


async def test_who_is_cancelled_while_it_waits_gives_the_turn_back() -> None:
    """A stop does that."""
    turn, ends = Alone(), asyncio.Event()
    under_way = await asked(turn, ends)
    waiting = asyncio.create_task(turn.taken().__aenter__())
    await settled()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    ends.set()
    await under_way
    assert turn.try_take() is not None
