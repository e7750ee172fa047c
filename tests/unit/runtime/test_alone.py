"""Whose turn it is: rounds and last attempts keep out of each other's way, and neither waits for ever."""

import asyncio

import pytest

from minuet.runtime import alone
from minuet.runtime.alone import Alone


async def begun(turn: Alone, ends: asyncio.Event) -> asyncio.Task[None]:
    """A round that is asked for, and ends when it is told to."""

    async def one_round() -> None:
        async with turn.round():
            await ends.wait()

    task = asyncio.create_task(one_round())
    for _ in range(5):
        await asyncio.sleep(0)
    return task


def rounds(turn: Alone) -> int:
    """How many are under way."""
    return int(repr(turn).split(", ")[-1].split()[0])


async def test_the_turn_is_not_had_beside_a_round_and_none_begins_before_it_is_asked_for_again() -> None:
    """Or rounds that follow each other would keep it from ever being free."""
    turn, first, later = Alone(), asyncio.Event(), asyncio.Event()
    under_way = await begun(turn, first)
    assert not turn.try_take()
    held = await begun(turn, later)
    first.set()
    await under_way
    assert rounds(turn) == 0
    assert turn.try_take()
    later.set()
    turn.give()
    await held


async def test_who_asked_in_vain_and_comes_no_more_holds_rounds_for_a_moment_only(monkeypatch) -> None:
    """The delivery may be another process's by then."""
    monkeypatch.setattr(alone, "ASKED_SECONDS", 0.001)
    turn, first, later = Alone(), asyncio.Event(), asyncio.Event()
    under_way = await begun(turn, first)
    assert not turn.try_take()
    first.set()
    later.set()
    await under_way
    await (await begun(turn, later))


async def test_a_lapse_does_not_open_what_somebody_has_taken_since(monkeypatch) -> None:
    """The moment was that of an earlier asking."""
    monkeypatch.setattr(alone, "ASKED_SECONDS", 0.0)
    turn, ends = Alone(), asyncio.Event()
    under_way = await begun(turn, ends)
    assert not turn.try_take()
    ends.set()
    await under_way
    assert turn.try_take()
    held = await begun(turn, ends)
    assert not held.done()
    turn.give()
    await held


@pytest.mark.parametrize(("last", "beside"), [(False, 1), (True, 0)])
async def test_only_a_last_attempt_waits_for_rounds(last, beside) -> None:
    """Of others an attempt is left, should they be charged with a death that was not theirs."""
    turn, ends = Alone(), asyncio.Event()
    under_way = await begun(turn, ends)

    async def take() -> int:
        async with turn.taken(last=last):
            return rounds(turn)

    taking = asyncio.create_task(take())
    for _ in range(5):
        await asyncio.sleep(0)
    ends.set()
    assert await taking == beside
    await under_way


async def test_nobody_waits_for_ever(monkeypatch) -> None:
    """A last attempt may take hours, and a round may wait for what a last attempt is to do."""
    monkeypatch.setattr(alone, "PATIENCE_SECONDS", 0.001)
    turn, ends = Alone(), asyncio.Event()
    assert turn.try_take()
    ends.set()
    await (await begun(turn, ends))
    turn.give()
    ends.clear()
    under_way = await begun(turn, ends)
    async with turn.taken(last=True):
        assert rounds(turn) == 1
    ends.set()
    await under_way


async def test_one_has_the_turn_at_a_time() -> None:
    """Whoever asks meanwhile waits for it, or is refused."""
    turn = Alone()
    async with turn.taken(last=False):
        assert not turn.try_take()
        waiting = asyncio.create_task(turn.taken(last=True).__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting
    assert not turn.try_take()
