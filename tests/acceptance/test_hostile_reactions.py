"""Whatever a reaction does, it harms its own event alone: that one is a dead letter, its neighbours are handled."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minuet import NEVER, App, Event, Service, Transaction, Writes
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import DeadLetterFilter
from minuet.testing.signals import Signals
from tests.acceptance.pairs import KINDS, adapters, rows

pytestmark = pytest.mark.slow  # each is quick, and there are many

HARMLESS = "none"


class Tried(Event, key="number"):
    """A reaction is asked to do something bad, or nothing."""

    number: int
    trick: str = HARMLESS


class Answered(Event, key="text"):
    """It answered."""

    text: str


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Outside(BaseException):
    """Not meant to be caught by anybody."""


def raising(error: Callable[[], BaseException]) -> Callable[[], None]:
    def trick() -> None:
        raise error()

    return trick


def in_circles() -> BaseException:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def without_end() -> None:
    without_end()


RAISING: dict[str, Callable[[], None]] = {
    "an error": raising(lambda: ValueError("bad")),
    "an error without words": raising(Speechless),
    "an error in half characters": raising(lambda: ValueError("half \ud800 a pair")),
    "an error with a NUL": raising(lambda: ValueError("a\0b")),
    "an error of a megabyte": raising(lambda: ValueError("x" * 1_000_000)),
    "a group of errors": raising(lambda: ExceptionGroup("several", [ValueError("a"), KeyError("b")])),
    "an error in circles": raising(in_circles),
    "an error that is no Exception": raising(Outside),
    "a cancellation of its own": raising(asyncio.CancelledError),
    "an end of iteration": raising(StopAsyncIteration),
    "a generator's exit": raising(GeneratorExit),
    "recursion without end": without_end,
}
EMITTING: dict[str, Callable[[], object]] = {
    "an event with half a character": lambda: [Answered(text="\ud800")],
    "an event with a NUL for its key": lambda: [Answered(text="a\0b")],
    "an event without a key": lambda: [Answered(text="")],
    "an event that is too large": lambda: [Answered(text="x" * 2_000_000)],
    "an event of no declared type": lambda: [Tried(number=1)],
    "no event at all": lambda: "an event",
}
STATEMENTS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "a statement that is no SQL": ("INSERT INTO nowhere VALUES (1)", ()),
    "the end of its transaction": ("COMMIT", ()),
    "the end of its transaction in other words": ("  /* now */ end transaction", ()),
    "the loss of its transaction": ("ROLLBACK", ()),
    "a transaction of its own": ("BEGIN", ()),
    "a savepoint like the runtime's": ("savepoint MINUET_turn", ()),
    "the release of what it did not mark": ("RELEASE minuet_turn", ()),
    "the loss of what others did": ("ROLLBACK TO minuet_round", ()),
    "a conflict that takes all back": ("INSERT OR ROLLBACK INTO once VALUES (1), (1)", ()),
    "a value that is none": ("INSERT INTO done VALUES (?)", (object(),)),
    "half a character": ("INSERT INTO done VALUES (?)", ("\ud800",)),
}
TRICKS = (*RAISING, *EMITTING, *STATEMENTS)


def victim(*, transactional: bool) -> Service:
    service = Service("victim", owns=[Tried, Answered])

    @service.setup
    async def done(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS done (number INTEGER)")
        await tx.execute("CREATE TABLE IF NOT EXISTS once (number INTEGER PRIMARY KEY)")

    def perform(tried: Tried) -> list[Answered]:
        if tried.trick in RAISING:
            RAISING[tried.trick]()
        return EMITTING.get(tried.trick, list)()  # type: ignore[return-value]  # the trick

    if transactional:

        @service.reaction(retry=NEVER)
        async def react(tried: Tried, tx: Transaction) -> list[Answered]:
            await tx.execute("INSERT INTO done VALUES (?)", (tried.number,))
            if tried.trick in STATEMENTS:
                await tx.execute(*STATEMENTS[tried.trick])
            return perform(tried)

    else:

        @service.reaction(retry=NEVER)
        async def react(tried: Tried, writes: Writes) -> list[Answered]:
            writes.execute("INSERT INTO done VALUES (?)", (tried.number,))
            if tried.trick in STATEMENTS:
                writes.execute(*STATEMENTS[tried.trick])
            return perform(tried)

    return service


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("transactional", [True, False], ids=["transactional", "concurrent"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_bad_reaction_harms_its_own_event_alone(
    kind: str, *, transactional: bool, trick: str, tmp_path: Path
) -> None:
    """Events before and after it, in its own round and later, are handled once; it is one dead letter."""
    broker, store = adapters(kind, tmp_path)
    service, signals = victim(transactional=transactional), Signals({Point.COMMITTED})
    app = App([service], broker=broker, store=store, observers=[signals])
    async with app.running():
        await asyncio.gather(*[service.emit(Tried(number=n, trick=trick if n == 1 else HARMLESS)) for n in range(3)])
        await signals.reached(Point.COMMITTED, count=3, within="5s")
        await service.emit(Tried(number=3))
        await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=3, within="5s")
        assert sorted(await rows(store, "SELECT number FROM done")) == [(0,), (2,), (3,)]
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert len(letter.error) + len(letter.trace) < 50_000
        assert [turn.key for turn in signals.passed(Point.COMMITTED, outcome=Outcome.DEAD)] == ["1"]
        assert signals.troubles == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sync_reaction_that_runs_out_of_items_is_a_failed_attempt(kind: str, tmp_path: Path) -> None:
    """A StopIteration from a thread, which no future can carry, ends as a dead letter, and what follows is handled."""
    broker, store = adapters(kind, tmp_path)
    service, signals = Service("victim", owns=[Tried]), Signals({Point.COMMITTED})

    @service.reaction(retry=NEVER)
    def first_of_none(tried: Tried) -> None:
        if tried.trick != HARMLESS:
            next(iter(()))

    app = App([service], broker=broker, store=store, observers=[signals])
    async with app.running():
        await service.emit(Tried(number=1, trick="next"))
        await service.emit(Tried(number=1))
        await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=1, within="5s")
        [letter] = await store.list_dead_letters(DeadLetterFilter())
    assert "StopIteration" in letter.trace


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "returns"])
@pytest.mark.parametrize("transactional", [True, False], ids=["transactional", "concurrent"])
async def test_a_reaction_that_cancels_its_own_task_is_a_failed_attempt(
    *, transactional: bool, waits: bool, tmp_path: Path
) -> None:
    """Its lane goes on: the event is a dead letter, and the next one is handled."""
    broker, store = adapters(KINDS[0], tmp_path)
    service, signals = Service("victim", owns=[Tried]), Signals({Point.COMMITTED})

    async def cancel_oneself(tried: Tried) -> None:
        task = asyncio.current_task()
        if tried.trick != HARMLESS and task is not None:
            task.cancel()
            if waits:
                await asyncio.sleep(0)

    if transactional:

        @service.reaction(retry=NEVER)
        async def within(tried: Tried, tx: Transaction) -> None:
            await cancel_oneself(tried)

    else:

        @service.reaction(retry=NEVER)
        async def outside(tried: Tried) -> None:
            await cancel_oneself(tried)

    app = App([service], broker=broker, store=store, observers=[signals])
    async with app.running():
        await service.emit(Tried(number=1, trick="cancel"))
        await service.emit(Tried(number=1))
        await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=1, within="5s")
        [letter] = await store.list_dead_letters(DeadLetterFilter())
    assert "cancelled from within" in letter.error


SHUTS = {
    "close()": lambda c: c.close(),
    "its own tables": lambda c: c.execute("UPDATE minuet_positions SET position = 9"),
}


@pytest.mark.parametrize("shut", SHUTS)
async def test_a_reaction_cannot_close_or_meddle_on_the_connection_it_borrows(shut: str, tmp_path: Path) -> None:
    """What belongs to minuet is refused on a native connection, and the lane goes on."""
    broker, store = adapters(KINDS[0], tmp_path)
    service, signals = Service("victim", owns=[Tried]), Signals({Point.COMMITTED})

    @service.reaction(retry=NEVER)
    async def borrow(tried: Tried, connection: sqlite3.Connection) -> None:
        if tried.trick != HARMLESS:
            SHUTS[shut](connection)

    app = App([service], broker=broker, store=store, observers=[signals])
    async with app.running():
        await service.emit(Tried(number=1, trick=shut))
        await service.emit(Tried(number=1))
        await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=1, within="5s")
        assert len(await store.list_dead_letters(DeadLetterFilter())) == 1
