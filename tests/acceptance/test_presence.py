"""Processes know of each other's unclean ends, as rows of their store: who is careful then, and for how long."""

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from minuet import App, Event, Service, Transaction
from minuet.ports.observer import Point
from minuet.runtime.presence import REMEMBER_SECONDS
from minuet.testing.signals import Signals
from tests.acceptance.clocks import ManualClock
from tests.acceptance.forked import KILLED, Forked, Parent, run
from tests.acceptance.pairs import JOINED, SEPARATE, Pair, committed_until, pair

PROCESSES = "SELECT state, attempts FROM minuet_parked WHERE consumer = 'processes' ORDER BY id"
DELIVERIES = "SELECT state, attempts FROM minuet_parked WHERE consumer = 'desk.answer'"


class Asked(Event):
    """Somebody asks, and wants to be answered in this way."""

    how: str


def desk() -> Service:
    service = Service("desk", owns=[Asked])

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS answers (how TEXT)")

    @service.reaction
    async def answer(asked: Asked, tx: Transaction) -> None:
        await tx.execute("INSERT INTO answers VALUES (?)", (asked.how,))
        if asked.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if asked.how == "hang":
            await asyncio.Event().wait()

    return service


async def idle(parent: Parent, where: Pair) -> None:
    """A process that runs until it is killed, or is told to end."""
    async with App([desk()], **where.urls(), observers=()).running():
        parent.say("running")
        await asyncio.to_thread(parent.wait_for_word)


async def work(parent: Parent, where: Pair) -> None:
    async with App([desk()], **where.urls(), observers=()).running() as app:
        await app.settled()


async def ask(where: Pair, how: str) -> None:
    service = desk()
    async with App([service], **where.urls(), observers=()).connected():
        await service.emit(Asked(how=how))


async def lose_a_process(where: Pair) -> None:
    async with Forked(idle, where) as process:
        await process.says("running")
        assert where.look(PROCESSES) == [("running", 1)]
        process.kill()
        assert await process.ended() == KILLED


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_a_clean_end_leaves_nothing_and_nobody_is_careful(kind: str, tmp_path: Path) -> None:
    """The next process takes its deliveries as ever: one that kills it then is not counted."""
    where = pair(kind, tmp_path)
    async with Forked(idle, where) as process:
        await process.says("running")
        process.tell("end")
        assert await process.ended() == 0
    assert where.look(PROCESSES) == []
    await ask(where, "kill")
    assert run(work, where) == KILLED
    assert where.look(DELIVERIES) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_who_starts_after_a_death_is_careful_at_once(kind: str, tmp_path: Path) -> None:
    """Its very first delivery is claimed before it runs: should it kill, the attempt counts."""
    where = pair(kind, tmp_path)
    await lose_a_process(where)
    await ask(where, "kill")
    assert run(work, where) == KILLED
    assert where.look(DELIVERIES) == [("running", 1)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_what_a_process_died_with_is_claimed_also_by_who_knows_of_no_death(kind: str, tmp_path: Path) -> None:
    """Its row says enough: a lane that is not careful becomes so for it, and the attempt counts."""
    where = pair(kind, tmp_path)
    await lose_a_process(where)
    await ask(where, "kill")
    assert run(work, where) == KILLED
    with closing(sqlite3.connect(where.store)) as connection, connection:
        connection.execute("DELETE FROM minuet_parked WHERE consumer = 'processes'")
    assert run(work, where) == KILLED
    assert where.look(DELIVERIES) == [("running", 2)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_a_stop_costs_a_careful_turn_no_attempt(kind: str, tmp_path: Path) -> None:
    """What it interrupts is given back, and has not been begun."""
    where, signals = pair(kind, tmp_path), Signals({Point.DECODED})
    await lose_a_process(where)
    await ask(where, "hang")
    async with App([desk()], **where.urls(), observers=[signals], stop_within="10ms").running():
        await signals.reached(Point.DECODED)
        assert where.look(DELIVERIES) == [("running", 1)]
    assert where.look(DELIVERIES) == [("due", 0)]


@pytest.mark.slow
async def test_deaths_are_forgotten_in_time(tmp_path: Path) -> None:
    """Whoever finds the row of one that died long ago removes it."""
    where = pair(JOINED, tmp_path)
    await lose_a_process(where)
    async with App([desk()], **where.urls(), observers=()).running():
        assert where.look(PROCESSES) == [("due", 1), ("running", 1)]
    assert where.look(PROCESSES) == [("due", 1)]
    later = ManualClock(time.time() + REMEMBER_SECONDS + 1)
    async with App([desk()], **where.urls(), observers=(), clock=later).running():
        assert where.look(PROCESSES) == [("running", 1)]
    assert where.look(PROCESSES) == []


async def test_a_process_that_was_taken_for_dead_and_lives_is_known_again(tmp_path: Path) -> None:
    """Its next end is known as well; what others took for its death is forgotten in time like any other."""
    where = pair(JOINED, tmp_path)
    broker, store = where.adapters()
    async with App([desk()], broker=broker, store=store, observers=()).running():
        async with store.transaction() as unit:
            await unit.transaction.execute(
                "UPDATE minuet_parked SET state = 'due', due_at = ?, owner = NULL", (time.time(),)
            )
        await committed_until(lambda: where.look(PROCESSES) == [("due", 1), ("running", 1)], store)
    assert where.look(PROCESSES) == [("due", 1)]


async def test_services_without_transactions_keep_no_row(tmp_path: Path) -> None:
    """What runs outside a transaction is parked itself, and needs nobody's caution."""
    where, service = pair(JOINED, tmp_path), Service("desk", owns=[Asked])

    @service.reaction
    async def answer(asked: Asked) -> None: ...

    async with App([service], **where.urls(), observers=()).running():
        assert where.look(PROCESSES) == []
