"""What a process held when it died goes to a neighbour that lives and waits, though nothing new comes to wake it."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from minuet import App, Context, Event, Service, Transaction, Writes
from minuet.ports.observer import Point, Turn
from tests.acceptance.forked import KILLED, Forked, Parent
from tests.acceptance.pairs import JOINED, SEPARATE, Pair, committed_until, pair

pytestmark = pytest.mark.slow


class Asked(Event):
    """Somebody asks, and wants an event for an answer or only a row."""

    number: int
    aloud: bool = False


class Answered(Event):
    """Somebody answers."""

    number: int


def service(*, hangs: bool) -> Service:
    """One question at a time; in a process that `hangs`, none is ever answered."""
    desk = Service("desk", owns=[Asked, Answered])

    @desk.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS answers (number INTEGER, attempt INTEGER)")

    @desk.reaction(concurrency=1)
    async def answer(asked: Asked, writes: Writes, context: Context) -> Answered | None:
        if hangs:
            await asyncio.Event().wait()
        writes.execute("INSERT INTO answers VALUES (?, ?)", (asked.number, context.attempt))
        return Answered(number=asked.number) if asked.aloud else None

    return desk


class Halt:
    """Stops its whole process at a point, until it is killed."""

    def __init__(self, point: Point, parent: Parent) -> None:
        self.points = frozenset({point})
        self._parent = parent

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        self._parent.say("halted")
        self._parent.wait_for_word()

    def trouble(self, where: str, error: BaseException) -> None:
        """Not its business."""


class Says:
    """Tells the test that a point is passed."""

    def __init__(self, point: Point, parent: Parent) -> None:
        self.points = frozenset({point})
        self._parent = parent

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        for turn in turns:
            self._parent.say(f"{point} {turn.attempt}")

    def trouble(self, where: str, error: BaseException) -> None:
        """Not its business."""


async def hanging(parent: Parent, where: Pair) -> None:
    """A process whose first reaction never ends, so that all others wait in it."""
    app = App([service(hangs=True)], **where.urls(), observers=[Says(Point.DECODED, parent)])
    async with app.running():
        await asyncio.Event().wait()


async def halting(parent: Parent, where: Pair) -> None:
    """A process that stops when it has published, before it has written that down."""
    app = App([service(hangs=False)], **where.urls(), observers=[Halt(Point.PUBLISHED, parent)])
    async with app.running():
        await asyncio.Event().wait()


async def healthy(parent: Parent, where: Pair, finished: str) -> None:
    """A process that works until the query gives 0, and says so when it has looked at everything and waits.

    It has looked when somebody else's commit was told to all who listen, this process's parts among them. From then
    on nobody touches the broker's file, not even to look.
    """
    broker, store = where.adapters()
    app = App([service(hangs=False)], broker=broker, store=store, observers=())
    async with app.running():
        for adapter, file in ((broker, where.broker), (store, where.store)):
            told = asyncio.Event()
            adapter.database.listen(told.set)
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute("CREATE TABLE IF NOT EXISTS looks (number INTEGER)")
                connection.execute("INSERT INTO looks VALUES (1)")
            await told.wait()
        parent.say("idle")
        await committed_until(lambda: where.look(finished) == [(0,)], store)


async def ask(where: Pair, *questions: Asked) -> None:
    desk = service(hangs=False)
    async with App([desk], **where.urls(), observers=()).connected():
        for question in questions:
            await desk.emit(question)


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_what_ran_and_what_waited_in_a_dead_process_is_done_by_a_neighbour(kind: str, tmp_path: Path) -> None:
    """The running delivery counts an attempt more; those that the dead process had only buffered count none."""
    where = pair(kind, tmp_path)
    await ask(where, Asked(number=0), Asked(number=1), Asked(number=2))
    async with Forked(hanging, where) as first:
        await first.says("decoded 1")
        async with Forked(healthy, where, "SELECT 3 - count(*) FROM answers") as second:
            await second.says("idle")
            first.kill()
            assert await first.ended() == KILLED
            assert await second.ended() == 0
    found = where.look("SELECT number, attempt FROM answers ORDER BY number")
    assert found == [(0, 2), (1, 1), (2, 1)]


async def test_what_a_dead_relay_held_is_published_by_a_neighbour(tmp_path: Path) -> None:
    """An outbox row whose relay died between publishing and writing that down is published again by another."""
    where = pair(SEPARATE, tmp_path)
    await ask(where, Asked(number=0, aloud=True))
    async with Forked(halting, where) as first:
        await first.says("halted")
        async with Forked(healthy, where, "SELECT count(*) FROM minuet_outbox") as second:
            await second.says("idle")
            first.kill()
            assert await first.ended() == KILLED
            assert await second.ended() == 0
    assert where.look("SELECT number FROM answers") == [(0,)]
