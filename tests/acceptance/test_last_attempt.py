"""The last attempt that is granted to what processes died with is not made beside what kills the next one."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from minuet import App, Context, Event, Service, Transaction, retry
from minuet.ports.observer import Point
from minuet.runtime.alone import Alone
from minuet.testing.signals import Signals
from tests.acceptance.forked import KILLED, Forked, Parent, run
from tests.acceptance.pairs import JOINED, SEPARATE, Pair, pair
from tests.acceptance.postgres_pairs import POSTGRES, POSTGRES_SEPARATE, PostgresPair, postgres_pair
from tests.contract.servers import needs

pytestmark = pytest.mark.slow

KINDS = (
    JOINED,
    SEPARATE,
    *(pytest.param(kind, marks=needs("postgres")) for kind in (POSTGRES, POSTGRES_SEPARATE)),
)
OUTSIDE, INSIDE = "stand_by", "note"
"""The bystander: a reaction without a transaction, and one inside its own."""
MEETING_SECONDS = 0.5
"""How long poison and bystander wait for each other: the first to come is met, unless they are kept apart."""


class Asked(Event, key="key"):
    """Somebody asks."""

    key: str


def desk(parent: Parent) -> Service:
    """Poison kills in a transaction; a bystander's first attempt does not end, its second is the last one granted.

    On its last attempt a bystander stays until the poison has come, or does not; the poison waits for it likewise.
    """
    service, here, coming = Service("desk", owns=[Asked]), asyncio.Event(), asyncio.Event()

    async def meet(me: asyncio.Event, other: asyncio.Event) -> None:
        me.set()
        try:
            async with asyncio.timeout(MEETING_SECONDS):
                await other.wait()
        except TimeoutError:
            return

    async def stay(attempt: int) -> None:
        if attempt == 1:
            parent.say("begun")
            await asyncio.Event().wait()
        await meet(here, coming)

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS notes (key TEXT)")

    @service.reaction(retry=retry(times=1, first="1ms", most="1ms"), when=lambda asked: asked.key == "poison")
    async def answer(asked: Asked, tx: Transaction) -> None:
        await meet(coming, here)
        os.kill(os.getpid(), signal.SIGKILL)

    @service.reaction(retry=retry(times=1), when=lambda asked: asked.key == OUTSIDE)
    async def stand_by(asked: Asked, context: Context) -> None:
        await stay(context.attempt)

    @service.reaction(retry=retry(times=1), when=lambda asked: asked.key == INSIDE)
    async def note(asked: Asked, tx: Transaction, context: Context) -> None:
        await tx.execute("INSERT INTO notes VALUES (?)", (asked.key,))
        await stay(context.attempt)

    return service


async def work(parent: Parent, where: Pair | PostgresPair) -> None:
    async with App([desk(parent)], **where.urls(), observers=()).running() as app:
        parent.say("running")
        await app.settled()


async def idle(parent: Parent, where: Pair | PostgresPair) -> None:
    async with App([desk(parent)], **where.urls(), observers=()).running():
        parent.say("running")
        await asyncio.Event().wait()


async def ask(where: Pair | PostgresPair, key: str) -> None:
    service = Service("desk", owns=[Asked])
    async with App([service], **where.urls(), observers=()).connected():
        await service.emit(Asked(key=key), id=key)


@pytest.fixture
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair | PostgresPair]:
    found = pair(request.param, tmp_path) if request.param in (JOINED, SEPARATE) else postgres_pair(request.param)
    yield found
    found.dropped()


@pytest.mark.parametrize("bystander", [OUTSIDE, INSIDE])
@pytest.mark.parametrize("where", KINDS, indirect=True)
async def test_a_last_attempt_is_not_made_beside_poison(where: Pair | PostgresPair, bystander: str) -> None:
    """A process died with the bystander. Poison that comes next kills, and not beside it: it alone is a dead letter."""
    async with Forked(idle, where) as process:
        await process.says("running")
    await ask(where, bystander)
    async with Forked(work, where) as process:
        await process.says("begun")
    await ask(where, "poison")
    ends = [run(work, where)]
    while ends[-1] == KILLED:
        assert len(ends) < 10
        ends.append(run(work, where))
    assert ends[-1] == 0
    assert where.look("SELECT event_id, reason FROM minuet_dead_letters") == [("poison", "process_died")]
    assert where.look("SELECT key FROM notes") == [(INSIDE,)] * (bystander == INSIDE)
    assert where.unfinished() == {}


class Noted(Event):
    """Something is to be written down."""

    number: int


@pytest.mark.parametrize("guarantee", ["effectively_once", "at_most_once"])
@pytest.mark.parametrize("where", [JOINED, SEPARATE], indirect=True)
async def test_what_waited_for_a_last_attempt_is_not_begun_after_a_stop(where: Pair, guarantee, monkeypatch) -> None:
    """It is left to the next process, or a stop would cut it off, and what may run once would be given up."""
    service, turns, asked, noted = Service("desk", owns=[Noted]), list[Alone](), asyncio.Event(), list[int]()
    honest = Alone.round

    def watched(turn: Alone):
        turns.append(turn)
        asked.set()
        return honest(turn)

    monkeypatch.setattr(Alone, "round", watched)

    @service.reaction(guarantee=guarantee)
    async def note(event: Noted, tx: Transaction) -> None:
        noted.append(event.number)

    signals = Signals({Point.COMMITTED})
    running = App([service], **where.urls(), observers=[signals]).running()
    await running.__aenter__()
    await service.emit(Noted(number=1))
    await signals.reached(Point.COMMITTED, reaction="desk.note")
    async with turns[-1].taken():
        asked.clear()
        await service.emit(Noted(number=2))
        await asked.wait()
        stopping = asyncio.create_task(running.__aexit__(None, None, None))
        for _ in range(20):
            await asyncio.sleep(0)
    await stopping
    assert noted == [1]
    async with App([service], **where.urls(), observers=()).running() as app:
        await app.settled()
    assert noted == [1, 2]
    assert where.look("SELECT * FROM minuet_dead_letters") == []
