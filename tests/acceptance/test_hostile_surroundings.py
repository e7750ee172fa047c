"""What surrounds the reactions may misbehave too: observers that raise, children that outlive, folders that vanish."""

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from minuet import App, Context, Event, Service, Transaction, Writes
from minuet.ports.observer import Point, Turn
from minuet.testing.signals import Signals
from tests.acceptance.forked import KILLED, Forked, Parent
from tests.acceptance.pairs import JOINED, KINDS, SEPARATE, Pair, adapters, pair, rows


class Asked(Event, key="number"):
    """Somebody asks."""

    number: int


class Answered(Event, key="number"):
    """Somebody answers."""

    number: int


def desk() -> Service:
    """Answers in both lanes, and writes down the answers."""
    service = Service("desk", owns=[Asked, Answered])

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS answers (number INTEGER, who TEXT, attempt INTEGER)")

    insert = "INSERT INTO answers VALUES (?, ?, ?)"

    @service.reaction
    async def inside(asked: Asked, tx: Transaction, context: Context) -> None:
        await tx.execute(insert, (asked.number, "inside", context.attempt))
        if asked.number == 0 and context.attempt == 1:
            raise TimeoutError

    @service.reaction
    async def outside(asked: Asked, writes: Writes, context: Context) -> Answered:
        writes.execute(insert, (asked.number, "outside", context.attempt))
        if asked.number == 0 and context.attempt == 1:
            raise TimeoutError
        return Answered(number=asked.number)

    @service.reaction
    async def after(answered: Answered, tx: Transaction, context: Context) -> None:
        await tx.execute(insert, (answered.number, "after", context.attempt))

    return service


class Raising:
    """An observer that raises at every point, and when it is told of trouble."""

    points = frozenset(Point)

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        raise ZeroDivisionError(point)

    def trouble(self, where: str, error: BaseException) -> None:
        raise ZeroDivisionError(where)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_observer_that_raises_harms_nothing(kind: str, tmp_path: Path) -> None:
    """Every event is handled once, and the other observers are told of each point and of the trouble."""
    (broker, store), service, signals = adapters(kind, tmp_path), desk(), Signals()
    app = App([service], broker=broker, store=store, observers=[Raising(), signals])
    async with asyncio.timeout(20), app.running():
        for number in range(3):
            await service.emit(Asked(number=number))
        await app.settled()
        answers = await rows(store, "SELECT who, count(*) FROM answers GROUP BY who ORDER BY who")
    assert answers == [("after", 3), ("inside", 3), ("outside", 3)]
    assert len(signals.passed(Point.COMMITTED, reaction="desk.after")) == 3
    assert all(isinstance(error.__cause__, ZeroDivisionError) for _, error in signals.troubles)
    assert any("Raising" in where and str(Point.COMMITTED) in where for where, _ in signals.troubles)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
@pytest.mark.parametrize("lane", ["transactional", "concurrent"])
async def test_a_child_that_outlives_its_killed_process_holds_nothing(lane: str, kind: str, tmp_path: Path) -> None:
    """A reaction that forked, as process pools do, leaves no lock and no sign of life to the orphan."""
    where, service = pair(kind, tmp_path), Service("desk", owns=[Asked])
    async with App([service], **where.urls(), observers=()).connected():
        await service.emit(Asked(number=1))
    async with Forked(forking, where, lane) as process:
        await process.says("forked")
        process.kill()
        assert await process.ended() == KILLED
    orphan = int((tmp_path / "orphan").read_text())
    try:
        app = App([desk()], **where.urls(), observers=())
        async with asyncio.timeout(10), app.running():
            await app.settled()
        os.kill(orphan, 0)  # it lives on, and is in nobody's way
    finally:
        os.kill(orphan, signal.SIGKILL)
    answered = where.look(
        "SELECT attempt FROM answers WHERE who = ?", "inside" if lane == "transactional" else "outside"
    )
    assert answered


async def forking(parent: Parent, where: Pair, lane: str) -> None:
    """A process whose reaction starts a child that lingers, and then hangs."""
    service = Service("desk", owns=[Asked])

    async def fork_and_hang() -> None:
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            while True:
                signal.pause()
        (where.store.parent / "orphan").write_text(str(child))
        parent.say("forked")
        await asyncio.Event().wait()

    if lane == "transactional":

        @service.reaction
        async def inside(asked: Asked, tx: Transaction) -> None:
            await fork_and_hang()

    else:

        @service.reaction
        async def outside(asked: Asked) -> None:
            await fork_and_hang()

    async with App([service], **where.urls(), observers=()).running():
        await asyncio.Event().wait()


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_a_vanished_folder_of_locks_stops_nobody(kind: str, tmp_path: Path) -> None:
    """Who tidies up beside the database takes the bells away; events are handled all the same."""
    where, service, signals = pair(kind, tmp_path), desk(), Signals()
    async with asyncio.timeout(20), App([service], **where.urls(), observers=[signals]).running() as app:
        await service.emit(Asked(number=1))
        await app.settled()
        for file in {where.broker, where.store}:
            shutil.rmtree(f"{file}-minuet")
        await service.emit(Asked(number=2))
        await app.settled()
    answers = where.look("SELECT number, who FROM answers ORDER BY number, who")
    assert answers == [(number, who) for number in (1, 2) for who in ("after", "inside", "outside")]
