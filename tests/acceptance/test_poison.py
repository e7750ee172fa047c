"""An event that kills each process whose transactional reaction meets it ends as a dead letter, and no other does."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from minuet import App, Context, Event, Service, Transaction, Writes, retry
from minuet.ports.store import DeadLetterFilter
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
GOOD = 300
TIMES = 2
"""How many retries are declared, so that as many attempts and one begin."""
ALONE, TOGETHER = "alone", "together"
"""Whether there is one process at a time or several."""
POISON = "poison"
BYSTANDERS = 5
"""How many deliveries run without a transaction, and do not end, whenever a process dies beside them."""


class Asked(Event, key="key"):
    """Somebody asks."""

    number: int
    key: str


class Answered(Event, key="key"):
    """Somebody answers."""

    number: int
    key: str


def services(company: str) -> tuple[Service, Service]:
    """A desk that dies of one event, with slower neighbours that take the same, and one who hears the answers.

    In a process that is ALONE, those who stand by do not end before the desk has survived, but for their last chance.
    """
    desk, hall, survived = Service("desk", owns=[Asked, Answered]), Service("hall"), asyncio.Event()

    @desk.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS answers (number INTEGER, attempt INTEGER)")
        await tx.execute("CREATE TABLE IF NOT EXISTS notes (number INTEGER)")
        await tx.execute("CREATE TABLE IF NOT EXISTS stood_by (number INTEGER)")
        await tx.execute("CREATE TABLE IF NOT EXISTS heard (number INTEGER)")

    @desk.reaction(retry=retry(times=TIMES, first="1ms", most="1ms"))
    async def answer(asked: Asked, tx: Transaction, context: Context) -> Answered:
        await tx.execute("INSERT INTO answers VALUES (?, ?)", (asked.number, context.attempt))
        if asked.key == POISON and asked.number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if asked.key == POISON:
            survived.set()
        return Answered(number=asked.number, key=asked.key)

    @desk.reaction(retry=retry(times=0))
    async def note(asked: Asked, tx: Transaction) -> None:
        await tx.execute("INSERT INTO notes VALUES (?)", (asked.number,))
        for _ in range(5):
            await asyncio.sleep(0)

    @desk.reaction(retry=retry(times=TIMES), concurrency=BYSTANDERS, when=lambda asked: asked.number <= BYSTANDERS)
    async def stand_by(asked: Asked, writes: Writes, context: Context) -> None:
        if company == ALONE and context.attempt <= TIMES:
            await survived.wait()
        for _ in range(20_000):
            await asyncio.sleep(0)
        writes.execute("INSERT INTO stood_by VALUES (?)", (asked.number,))

    @hall.reaction
    async def hear(answered: Answered, tx: Transaction) -> None:
        await tx.execute("INSERT INTO heard VALUES (?)", (answered.number,))

    return desk, hall


async def ask(where: Pair | PostgresPair, *events: Asked) -> None:
    desk, hall = services(TOGETHER)
    async with App([desk, hall], **where.urls(), observers=()).connected():
        await asyncio.gather(*(desk.emit(event, id=f"asked-{event.number}") for event in events))


async def work(parent: Parent, where: Pair | PostgresPair, company: str) -> None:
    """A process that works until nothing is left to do, or until it meets the poison."""
    broker, store = where.adapters()
    app = App(services(company), broker=broker, store=store, observers=())
    async with app.running():
        parent.say("running")
        await where.worked_off(app)


@pytest.fixture
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair | PostgresPair]:
    found = pair(request.param, tmp_path) if request.param in (JOINED, SEPARATE) else postgres_pair(request.param)
    yield found
    found.dropped()


def mixed() -> list[Asked]:
    """The poison among good events, later ones of its key among them."""
    events = [Asked(number=number, key=f"key-{number % 50}") for number in range(1, GOOD + 1)]
    events[200:200] = [Asked(number=1001, key=POISON), Asked(number=1002, key=POISON)]
    events.insert(100, Asked(number=0, key=POISON))
    return events


def check(where: Pair | PostgresPair) -> None:
    """One dead letter that says what it is of; all others were handled, each once, in the order of their keys."""
    letters = where.look("SELECT consumer, event_id, reason, attempts, state FROM minuet_dead_letters")
    assert letters == [("desk.answer", "asked-0", "process_died", TIMES + 1, "open")]
    [(error,)] = where.look("SELECT error FROM minuet_dead_letters")
    assert f"{TIMES + 1} times a process died" in str(error)
    good = Counter((number,) for number in [*range(1, GOOD + 1), 1001, 1002])
    assert Counter(where.look("SELECT number FROM answers")) == good
    assert Counter(where.look("SELECT number FROM heard")) == good
    assert Counter(where.look("SELECT number FROM notes")) == good + Counter([(0,)])
    assert Counter(where.look("SELECT number FROM stood_by")) == Counter((n,) for n in range(BYSTANDERS + 1))
    keys = {event.number: event.key for event in mixed()}
    for numbers in (in_order(where, "answers", keys), in_order(where, "heard", keys)):
        assert all(each == sorted(each) for each in numbers.values())
    assert where.unfinished() == {}


def in_order(where: Pair | PostgresPair, table: str, keys: dict[int, str]) -> dict[str, list[int]]:
    """What a table has of each key, in the order in which it was written."""
    place = "rowid" if isinstance(where, Pair) else "xmin::text::bigint, ctid"
    found: dict[str, list[int]] = {}
    for (number,) in where.look(f"SELECT number FROM {table} ORDER BY {place}"):
        assert isinstance(number, int)
        found.setdefault(keys[number], []).append(number)
    return found


@pytest.mark.parametrize("where", KINDS, indirect=True)
def test_what_kills_its_process_is_a_dead_letter_in_the_end(where: Pair | PostgresPair) -> None:
    """One death is not counted; then it dies as often as is declared, and the process after that finishes all."""
    asyncio.run(ask(where, *mixed()))
    ends = [run(work, where, ALONE)]
    while ends[-1] != 0:
        assert len(ends) < 20, ends
        ends.append(run(work, where, ALONE))
    assert ends == [KILLED] * (TIMES + 2) + [0]
    check(where)


async def restarted(where: Pair | PostgresPair, company: str) -> int:
    """Keep one process running until one ends cleanly; how many died."""
    deaths = 0
    while True:
        async with Forked(work, where, company) as process:
            if await process.ended() == 0:
                return deaths
            deaths += 1


@pytest.mark.parametrize("where", KINDS, indirect=True)
async def test_processes_that_share_the_work_survive_it_together(where: Pair | PostgresPair) -> None:
    """Three processes, each begun again when it dies: each may die once uncounted, and the end is the same."""
    await ask(where, *mixed())
    deaths = sum(await asyncio.gather(*(restarted(where, TOGETHER) for _ in range(3))))
    assert TIMES + 2 <= deaths <= TIMES + 1 + 3 * 2
    check(where)


@pytest.mark.parametrize("where", KINDS, indirect=True)
async def test_redriven_it_kills_again_and_is_a_dead_letter_again(where: Pair | PostgresPair) -> None:
    """The same letter is open again. Deaths are still known, so that each one counts this time."""
    await ask(where, *mixed())
    await restarted(where, ALONE)
    store = where.adapters()[1]
    await store.open()
    try:
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        async with store.transaction() as unit:
            assert await unit.dead_letters.redrive(letter, letter.at)
    finally:
        await store.close()
    assert await restarted(where, ALONE) == TIMES + 1
    [(attempts, state)] = where.look("SELECT attempts, state FROM minuet_dead_letters")
    assert (attempts, state) == (2 * (TIMES + 1), "open")
