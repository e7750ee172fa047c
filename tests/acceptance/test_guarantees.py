"""What is promised of a delivery: kept, or refused at startup with the two places that disagree."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from minuet import NEVER, App, Context, Event, Service, StartupError, Transaction, Writes, retry
from minuet.brokers.memory import MemoryBroker
from minuet.brokers.sqlite import SqliteBroker
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import DeadLetterFilter
from minuet.testing.crash import Crash
from minuet.testing.signals import Signals
from tests.acceptance.forked import KILLED, Parent, run
from tests.acceptance.pairs import JOINED, KINDS, SEPARATE, Pair, adapters, committed_until, pair, rows

LANES = ("transactional", "concurrent")
LETTERS = 600
"""More than a round takes, so that rounds share commits."""


class Sent(Event):
    """A letter was sent."""

    letter: int


class Flashed(Event, guarantee="at_most_once"):
    """A number was on the screens."""

    number: int


def post(lane: str, guarantee: str, fails: int = 0) -> Service:
    """Writes down each letter; its first attempts fail."""
    service = Service("post", owns=[Sent])

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS letters (letter INTEGER, attempt INTEGER)")

    insert = "INSERT INTO letters VALUES (?, ?)"
    keywords = {"guarantee": guarantee, "retry": retry(times=5, first="1ms", most="1ms")}
    if lane == "transactional":

        @service.reaction(**keywords)
        async def deliver(sent: Sent, tx: Transaction, context: Context) -> None:
            await tx.execute(insert, (sent.letter, context.attempt))
            if context.attempt <= fails:
                raise TimeoutError

    else:

        @service.reaction(**keywords)
        async def deliver(sent: Sent, writes: Writes, context: Context) -> None:
            writes.execute(insert, (sent.letter, context.attempt))
            if context.attempt <= fails:
                raise TimeoutError

    return service


async def working(parent: Parent, where: Pair, lane: str, guarantee: str, observers: list[Crash]) -> None:
    """A process that works until nothing is left to do, or an observer kills it."""
    broker, store = where.adapters()
    app = App([post(lane, guarantee)], broker=broker, store=store, observers=observers)
    async with app.running():
        await committed_until(lambda: not where.unfinished(), broker, store)


async def send(where: Pair, *letters: int) -> None:
    service = post("concurrent", "effectively_once")
    async with App([service], **where.urls(), observers=()).connected():
        for letter in letters:
            await service.emit(Sent(letter=letter))


# -- at most once


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lane", LANES)
async def test_at_most_once_tries_once(lane: str, kind: str, tmp_path: Path) -> None:
    """A failed attempt is the only one: the delivery is a dead letter at once, with that reason."""
    (broker, store), service = adapters(kind, tmp_path), post(lane, "at_most_once", fails=1)
    async with App([service], broker=broker, store=store, observers=()).running() as app:
        await service.emit(Sent(letter=1))
        await app.settled()
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert (letter.reason, letter.attempts) == ("at_most_once", 1)
        assert await rows(store, "SELECT count(*) FROM letters") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
@pytest.mark.parametrize("lane", LANES)
def test_at_most_once_does_not_run_again_after_a_crash(lane: str, kind: str, tmp_path: Path) -> None:
    """What a process had begun when it was killed is not begun by another: it is a dead letter that says so."""
    where = pair(kind, tmp_path)
    asyncio.run(send(where, 1))
    assert run(working, where, lane, "at_most_once", [Crash(Point.DECIDED)]) == KILLED
    assert run(working, where, lane, "at_most_once", []) == 0
    assert where.look("SELECT count(*) FROM letters") == [(0,)]
    assert where.look("SELECT reason FROM minuet_dead_letters") == [("process_died",)]


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_at_most_once_does_not_run_again_after_a_stop(kind: str, tmp_path: Path) -> None:
    """What a stop interrupts has begun, and is given up by the next process instead of being begun again."""
    where, signals, service = pair(kind, tmp_path), Signals({Point.DECODED}), Service("post", owns=[Sent])

    @service.reaction(guarantee="at_most_once")
    async def deliver(sent: Sent) -> None:
        await asyncio.Event().wait()

    async with App([service], **where.urls(), observers=[signals], stop_within="10ms").running():
        await service.emit(Sent(letter=1))
        await signals.reached(Point.DECODED)
    async with App([service], **where.urls(), observers=()).running() as app:
        await app.settled()
    assert where.look("SELECT reason FROM minuet_dead_letters") == [("process_died",)]


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_at_most_once_gives_up_what_could_not_be_recorded(kind: str, tmp_path: Path) -> None:
    """When the transaction of a reaction that has run fails, the delivery is a dead letter, and runs no more."""
    where, service = pair(kind, tmp_path), post("transactional", "at_most_once")
    calls: list[int] = []

    @service.reaction(guarantee="at_most_once")
    async def call(sent: Sent, tx: Transaction) -> None:
        calls.append(sent.letter)
        await tx.execute("CREATE TEMP TABLE IF NOT EXISTS once (a INTEGER PRIMARY KEY)")
        await tx.execute("INSERT OR ROLLBACK INTO once VALUES (1), (1)")

    async with App([service], **where.urls(), observers=()).running() as app:
        await service.emit(Sent(letter=1))
        await app.settled()
    assert calls == [1]
    letters = where.look("SELECT consumer, reason FROM minuet_dead_letters")
    assert letters == [("post.call", "at_most_once")]


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_at_most_once_gives_up_nothing_for_its_neighbours(kind: str, tmp_path: Path) -> None:
    """While another reaction loses the transaction it is in, again and again, what may run once is recorded."""
    where, service = pair(kind, tmp_path), post("transactional", "at_most_once")

    @service.reaction(retry=retry(times=2, first="1ms", most="1ms"))
    async def call(sent: Sent, tx: Transaction) -> None:
        await tx.execute("CREATE TEMP TABLE IF NOT EXISTS once (a INTEGER PRIMARY KEY)")
        if sent.letter % 50 == 0:
            await tx.execute("INSERT OR ROLLBACK INTO once VALUES (1), (1)")

    async with App([service], **where.urls(), observers=()).running() as app:
        await asyncio.gather(*(service.emit(Sent(letter=number)) for number in range(LETTERS)))
        await app.settled()
    assert where.look("SELECT count(DISTINCT letter) FROM letters") == [(LETTERS,)]
    assert where.look("SELECT DISTINCT consumer FROM minuet_dead_letters") == [("post.call",)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
@pytest.mark.parametrize("lane", LANES)
def test_effectively_once_runs_again_after_a_crash(lane: str, kind: str, tmp_path: Path) -> None:
    """The same kill, under the default: it is done by the next process, once."""
    where = pair(kind, tmp_path)
    asyncio.run(send(where, 1))
    assert run(working, where, lane, "effectively_once", [Crash(Point.DECIDED)]) == KILLED
    assert run(working, where, lane, "effectively_once", []) == 0
    assert where.look("SELECT letter FROM letters") == [(1,)]


# -- at least once


@pytest.mark.slow
@pytest.mark.parametrize(("guarantee", "times"), [("at_least_once", 2), ("effectively_once", 1)])
def test_at_least_once_takes_what_comes_again(guarantee: str, times: int, tmp_path: Path) -> None:
    """Killed between commit and acknowledgement, it runs again where the inbox is not asked, and not where it is."""
    where = pair(SEPARATE, tmp_path)
    asyncio.run(send(where, 1))
    assert run(working, where, "transactional", guarantee, [Crash(Point.COMMITTED)]) == KILLED
    assert run(working, where, "transactional", guarantee, []) == 0
    assert where.look("SELECT letter FROM letters") == [(1,)] * times


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("guarantee", ["at_least_once", "effectively_once"])
async def test_retries_keep_their_guarantee(guarantee: str, lane: str, kind: str, tmp_path: Path) -> None:
    """An event that fails at first is handled at a later attempt, whose rows alone stay."""
    (broker, store), service = adapters(kind, tmp_path), post(lane, guarantee, fails=3)
    async with App([service], broker=broker, store=store, observers=()).running() as app:
        await service.emit(Sent(letter=1))
        await app.settled()
        assert await rows(store, "SELECT letter, attempt FROM letters") == [(1, 4)]
        assert (await store.counts())["post"]["retries"] == 3


# -- refused


class Certain(Event, guarantee="effectively_once"):
    """An event whose effects must not be lost."""

    number: int


class Loose(MemoryBroker):
    """A broker that keeps no order."""

    capabilities = msgspec.structs.replace(MemoryBroker.capabilities, order="none")


@pytest.mark.parametrize(
    ("broker", "store", "forgetful"),
    [("sqlite:///a.db", "memory://", "store"), ("memory://", "sqlite:///a.db", "broker")],
)
def test_a_guarantee_that_cannot_be_kept_is_refused(broker: str, store: str, forgetful: str) -> None:
    """The message names the contract's place, the reaction's place, both URLs and who forgets."""
    service = Service("books")

    @service.reaction
    async def enter(certain: Certain) -> None:
        """Never called."""

    app = App([service], broker=broker, store=store)
    reaction_line = enter.__code__.co_firstlineno
    contract_line = Certain.__contract__.place.line
    with pytest.raises(StartupError) as refused:
        app.check()
    said = str(refused.value)
    for words in (
        "Certain.v1 (",
        f"test_guarantees.py:{contract_line})",
        f"test_guarantees.py:{reaction_line})",
        "effectively_once",
        broker,
        store,
        f"the {forgetful} of",
    ):
        assert words in said


async def test_a_store_that_forgets_beside_a_broker_that_does_not_is_refused(tmp_path: Path) -> None:
    """An adapter without a store beside it has one in memory: nothing that is to last is emitted or taken with it,
    neither where the app runs nor where it is only connected. What may be lost may be.
    """
    broker = SqliteBroker(str(tmp_path / "log.db"))
    owner, reader, careless = Service("post", owns=[Sent]), Service("books"), Service("screens", owns=[Flashed])

    @reader.reaction
    async def enter(sent: Sent) -> None:
        """Never called."""

    @careless.reaction
    async def show(flashed: Flashed) -> None:
        """Whatever is there."""

    refused = pytest.raises(
        StartupError, match=r"test_guarantees\.py:\d+.*the store of .*log\.db.* and memory://.*store="
    )
    with refused:
        async with App([owner], broker=broker).connected():
            """Not reached."""
    with refused:
        async with App([reader], broker=broker).running():
            """Not reached."""
    async with App([reader], broker=broker).connected():
        """It takes nothing here."""
    async with App([careless], broker=broker).running() as app:
        await careless.emit(Flashed(number=1))
        await app.settled()


async def test_a_key_on_a_broker_without_order_is_refused() -> None:
    """An event that is ordered by key does not start on a broker that would shuffle it."""

    class Ordered(Event, key="number"):
        number: int

    service = Service("books")

    @service.reaction
    async def enter(ordered: Ordered) -> None:
        """Never called."""

    with pytest.raises(StartupError, match=r"Ordered\.v1 .* is ordered by 'number'.*keeps no order.*books\.enter"):
        async with App([service], broker=Loose(), store="memory://").running():
            pass


# -- never, when


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lane", LANES)
async def test_a_permanent_error_is_not_retried(lane: str, kind: str, tmp_path: Path) -> None:
    """What `never=` names, and what derives from it, goes straight to the dead letters; other errors are retried."""
    (broker, store), service = adapters(kind, tmp_path), Service("post", owns=[Sent])

    def fail(sent: Sent) -> None:
        raise (FileNotFoundError if sent.letter == 1 else TimeoutError)("no such address")

    keywords = {"never": (OSError, KeyError), "retry": retry(times=2, first="1ms", most="1ms")}
    if lane == "transactional":

        @service.reaction(**keywords | {"never": FileNotFoundError})
        async def deliver(sent: Sent, tx: Transaction) -> None:
            fail(sent)

    else:

        @service.reaction(**keywords | {"never": FileNotFoundError})
        async def deliver(sent: Sent) -> None:
            fail(sent)

    async with App([service], broker=broker, store=store, observers=()).running() as app:
        for letter in (1, 2):
            await service.emit(Sent(letter=letter))
        await app.settled()
        letters = await store.list_dead_letters(DeadLetterFilter())
    assert sorted((letter.reason, letter.attempts) for letter in letters) == [
        ("permanent_error", 1),
        ("retries_exhausted", 3),
    ]
    assert all("no such address" in letter.error and "def fail" not in letter.error for letter in letters)
    assert all("in fail" in letter.trace for letter in letters)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lane", LANES)
async def test_an_event_that_when_refuses_is_skipped_in_sight(lane: str, kind: str, tmp_path: Path) -> None:
    """It is not reacted to, is no dead letter, and observers are told; a predicate that fails is a failed attempt."""
    (broker, store), service, signals = adapters(kind, tmp_path), Service("post", owns=[Sent]), Signals()

    def is_even(sent: Sent) -> bool:
        return 12 // sent.letter % 2 == 0

    seen: list[int] = []
    if lane == "transactional":

        @service.reaction(when=is_even, retry=NEVER)
        async def deliver(sent: Sent, tx: Transaction) -> None:
            seen.append(sent.letter)

    else:

        @service.reaction(when=is_even, retry=NEVER)
        async def deliver(sent: Sent) -> None:
            seen.append(sent.letter)

    async with App([service], broker=broker, store=store, observers=[signals]).running() as app:
        for letter in (2, 4, 0, 3):
            await service.emit(Sent(letter=letter))
        await app.settled()
        [letter] = await store.list_dead_letters(DeadLetterFilter())
    assert sorted(seen) == [2, 3]
    assert len(signals.passed(Point.COMMITTED, outcome=Outcome.SKIPPED)) == 1
    assert "ZeroDivisionError" in letter.error
