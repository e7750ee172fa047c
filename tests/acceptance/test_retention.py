"""What is old and settled is forgotten, in the log and in the store; what an open dead letter needs never is."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from minuet import App, Context, Event, Service, Transaction, Writes, retry
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import DeadLetterFilter
from minuet.testing.signals import Signals
from tests.acceptance.clocks import ManualClock
from tests.acceptance.pairs import JOINED, SEPARATE, Pair, committed_until, look, pair

WEEK_SECONDS = 7 * 86_400.0


class Noted(Event, key="topic"):
    """Somebody noted something."""

    topic: str
    number: int


def notebook(lane: str) -> Service:
    """Each note fails once at first, so that it is parked; those on `bad` fail for ever."""
    service = Service("notebook", owns=[Noted])

    @service.setup
    async def notes(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS notes (topic TEXT, number INTEGER)")

    insert = "INSERT INTO notes VALUES (?, ?)"

    def fail(noted: Noted, attempt: int) -> None:
        if noted.topic == "bad" or attempt == 1:
            raise TimeoutError

    if lane == "transactional":

        @service.reaction(retry=retry(times=1))
        async def write(noted: Noted, tx: Transaction, context: Context) -> None:
            await tx.execute(insert, (noted.topic, noted.number))
            fail(noted, context.attempt)

    else:

        @service.reaction(retry=retry(times=1))
        async def write(noted: Noted, writes: Writes, context: Context) -> None:
            writes.execute(insert, (noted.topic, noted.number))
            fail(noted, context.attempt)

    return service


def kept(where: Pair) -> dict[str, int]:
    """How many rows there are of what is forgotten in time."""
    return {
        "log": len(look(where.broker, "SELECT 1 FROM minuet_log")),
        "inbox": len(where.look("SELECT 1 FROM minuet_inbox")),
        "parked": len(where.look("SELECT 1 FROM minuet_parked WHERE consumer <> 'processes'")),
        "letters": len(where.look("SELECT 1 FROM minuet_dead_letters")),
    }


async def weeks_pass(where: Pair, clock: ManualClock, expected: dict[str, int]) -> None:
    """Let weeks pass until no more is kept than this."""

    def trimmed() -> bool:
        clock.advance(WEEK_SECONDS)
        return kept(where) == expected

    async with AsyncExitStack() as stack:
        adapters = where.adapters()
        for adapter in adapters:
            await adapter.open()
            stack.push_async_callback(adapter.close)
        await committed_until(trimmed, *adapters)


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
@pytest.mark.parametrize("lane", ["transactional", "concurrent"])
async def test_what_is_settled_is_forgotten_and_what_is_dead_is_not(lane: str, kind: str, tmp_path: Path) -> None:
    """Of nine notes handled and one dead, the newest and the dead one's stay; discarded, the dead one's go too."""
    where, clock, signals = pair(kind, tmp_path), ManualClock(), Signals({Point.COMMITTED})
    broker, store = where.adapters()
    service = notebook(lane)
    app = App([service], broker=broker, store=store, clock=clock, retention="1s", observers=[signals])
    async with app.running():
        for number in range(9):
            await service.emit(Noted(topic="good", number=number))
            if number == 4:
                await service.emit(Noted(topic="bad", number=number))
        await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=9)
        await signals.reached(Point.COMMITTED, outcome=Outcome.DEAD)
        inbox = {"inbox": 1} if kind == SEPARATE else {"inbox": 0}
        await weeks_pass(where, clock, {"log": 2, "parked": 0, "letters": 1, **inbox})
        # Its duplicate is known as long as the letter is open: at once, and weeks later.
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert letter.event_id is not None
        await service.emit(Noted(topic="bad", number=4), id=letter.event_id)
        await app.settled()
        assert len(signals.passed(Point.COMMITTED, outcome=Outcome.DEAD)) == 1
        async with store.transaction() as unit:
            assert await unit.dead_letters.discard(letter, clock.now())
        await weeks_pass(where, clock, {"log": 1, "parked": 0, "letters": 0, "inbox": 0})
    assert len(where.look("SELECT 1 FROM notes")) == 9


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_what_a_service_has_not_had_is_never_too_old(kind: str, tmp_path: Path) -> None:
    """Events wait for a service that is away for weeks while another goes on and has its own forgotten."""
    where, clock, signals = pair(kind, tmp_path), ManualClock(), Signals({Point.COMMITTED})
    away, here = notebook("transactional"), Service("here")

    @here.reaction
    async def pass_on(noted: Noted, tx: Transaction) -> None:
        """There is nothing to do."""

    async with App([away, here], **where.urls(), observers=()).running():
        pass
    app = App([away, here], **where.urls(), clock=clock, retention="1s", observers=[signals])
    async with app.running(["here"]):
        for number in range(3):
            await away.emit(Noted(topic="good", number=number))
        await signals.reached(Point.COMMITTED, reaction="here.pass_on", count=3)
        for _ in range(3):
            clock.advance(WEEK_SECONDS)
            await away.emit(Noted(topic="late", number=0))
        await signals.reached(Point.COMMITTED, reaction="here.pass_on", count=6)
        if kind == SEPARATE:
            await weeks_pass_in_store(where, clock)
        assert where.logged("Noted") == [("good",)] * 3 + [("late",)] * 3
    async with App([away, here], **where.urls(), observers=()).running() as again:
        await again.settled()
    assert len(where.look("SELECT 1 FROM notes")) == 6


async def weeks_pass_in_store(where: Pair, clock: ManualClock) -> None:
    """Let weeks pass until the inbox is empty, so that a trimming has certainly been."""

    def trimmed() -> bool:
        clock.advance(WEEK_SECONDS)
        return kept(where)["inbox"] == 0

    _, store = where.adapters()
    await store.open()
    try:
        await committed_until(trimmed, store)
    finally:
        await store.close()
