"""What is emitted, and by whom: in the caller's transaction, out of reactions in each form, and never otherwise."""

import asyncio
import functools
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta

from minuet import App, Context, Event, InvalidEmission, Service, StartupError, Transaction, UndeclaredEmission
from minuet.contracts.identity import derive
from minuet.errors import PayloadTooLarge, StoreUnavailable
from minuet.ports.observer import Point
from minuet.ports.store import DeadLetterFilter
from minuet.testing.signals import Signals
from tests.acceptance.crash_shop import TRANSACTIONAL, Case, crash_at, order, work
from tests.acceptance.forked import KILLED, run
from tests.acceptance.pairs import JOINED, KINDS, SEPARATE, adapters, look, pair, rows


class Began(Event, key="number"):
    """Something began."""

    number: int


class First(Event, key="number"):
    """One thing that follows."""

    number: int


class Second(Event, key="number"):
    """Another thing that follows."""

    number: int
    why: str = ""


class Stranger(Event):
    """An event that nobody declares."""


def reader() -> Service:
    """Writes down whatever follows, with its ids, in the order in which it comes."""
    service = Service("reader")

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute(
            "CREATE TABLE IF NOT EXISTS followed"
            " (type TEXT, number INTEGER, id TEXT, cause TEXT, correlation TEXT, idempotency TEXT)"
        )

    @service.reaction
    async def write(event: First | Second, tx: Transaction, context: Context) -> None:
        row = (
            type(event).__name__, event.number, context.event_id, context.causation_id, context.correlation_id,
            context.idempotency_key,
        )  # fmt: skip
        await tx.execute("INSERT INTO followed VALUES (?, ?, ?, ?, ?, ?)", row)

    return service


# -- in the caller's transaction


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_an_event_goes_with_the_callers_commit(kind: str, tmp_path: Path) -> None:
    """Neither the caller's row nor the event is there before the commit; both are after it."""
    where, service, signals = pair(kind, tmp_path), Service("writer", owns=[First]), Signals({Point.COMMITTED})
    async with App([service, reader()], **where.urls(), observers=[signals]).running() as app:
        with closing(sqlite3.connect(where.store)) as connection:
            connection.execute("CREATE TABLE own (number INTEGER)")
            connection.execute("INSERT INTO own VALUES (1)")
            await service.emit(First(number=1), tx=connection)
            await app.settled()
            assert where.look("SELECT * FROM own") == []
            assert signals.turns == []
            connection.commit()
        await signals.reached(Point.COMMITTED, reaction="reader.write")
    assert where.look("SELECT number FROM own") == [(1,)]


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_an_event_goes_with_the_callers_rollback(kind: str, tmp_path: Path) -> None:
    """What the caller takes back was never emitted; what comes after it is."""
    where, service, signals = pair(kind, tmp_path), Service("writer", owns=[First]), Signals({Point.COMMITTED})
    async with App([service, reader()], **where.urls(), observers=[signals]).running():
        with closing(sqlite3.connect(where.store)) as connection:
            await service.emit(First(number=1), tx=connection)
            connection.rollback()
            await service.emit(First(number=2), tx=connection)
            connection.commit()
        await signals.reached(Point.COMMITTED, reaction="reader.write")
    assert where.look("SELECT number FROM followed") == [(2,)]


async def test_a_connection_to_another_database_is_refused(tmp_path: Path) -> None:
    """One transaction cannot span two files: the message names both, and nothing is emitted."""
    where, service = pair(JOINED, tmp_path), Service("writer", owns=[First])
    async with App([service], **where.urls(), observers=()).connected():
        with closing(sqlite3.connect(tmp_path / "other.db")) as other:
            with pytest.raises(StoreUnavailable, match=r"other\.db.*all\.db"):
                await service.emit(First(number=1), tx=other)
            with pytest.raises(StoreUnavailable, match="was given a str"):
                await service.emit(First(number=1), tx="all.db")
    assert look(where.broker, "SELECT count(*) FROM minuet_log") == [(0,)]


# -- from outside


@pytest.mark.parametrize("kind", KINDS)
async def test_an_id_of_the_callers_own_makes_a_repeated_call_harmless(kind: str, tmp_path: Path) -> None:
    """Emitted twice under one id, an event is handled once."""
    (broker, store), service = adapters(kind, tmp_path), Service("writer", owns=[First])
    async with App([service, reader()], broker=broker, store=store, observers=()).running() as app:
        for _ in range(3):
            assert await service.emit(First(number=1), id="mine") == "mine"
        await app.settled()
        assert await rows(store, "SELECT number, id FROM followed") == [(1, "mine")]


async def test_an_event_of_another_service_is_refused() -> None:
    """Only its owner says that something happened; the message names the owner and the contract's place."""
    owner, other = Service("owner", owns=[First]), Service("other")
    async with App([owner, other], observers=()).connected():
        with pytest.raises(UndeclaredEmission, match=r"owned by owner \(declared at .*test_emission\.py:\d+\)"):
            await other.emit(First(number=1))


async def test_what_is_no_event_is_refused() -> None:
    """The message names the class and says what to do."""
    service = Service("writer")
    async with App([service], observers=()).connected():
        with pytest.raises(UndeclaredEmission, match="was given a dict, which is not an event"):
            await service.emit({"number": 1})


async def test_an_unconnected_service_emits_nothing() -> None:
    """Outside of an app the call is refused with what to do, before and after."""
    service = Service("writer", owns=[First])
    with pytest.raises(StartupError, match=r"writer is not connected.*app\.connected\(\)"):
        await service.emit(First(number=1))
    async with App([service], observers=()).connected():
        await service.emit(First(number=1))
    with pytest.raises(StartupError):
        await service.emit(First(number=1))


@pytest.mark.parametrize("kind", KINDS)
async def test_an_event_larger_than_the_broker_carries_is_refused_before_it_is_owed(kind: str, tmp_path: Path) -> None:
    """The caller has the error, with size and limit; the others of the moment are emitted."""
    (broker, store), service = adapters(kind, tmp_path), Service("writer", owns=[Second])
    async with App([service, reader()], broker=broker, store=store, observers=()).running() as app:
        large = Second(number=0, why="x" * 2 * broker.capabilities.max_payload_bytes)
        calls = [service.emit(Second(number=1)), service.emit(large), service.emit(Second(number=2))]
        results: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(result, str) for result in results] == [True, False, True]
        assert isinstance(results[1], PayloadTooLarge)
        await app.settled()
        assert await rows(store, "SELECT number FROM followed") == [(1,), (2,)]


# -- from inside a reaction


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spawned", [False, True], ids=["in the reaction", "in a task of it"])
async def test_emission_from_inside_a_reaction_is_refused(kind: str, *, spawned: bool, tmp_path: Path) -> None:
    """It would escape the reaction's transaction: the attempt fails, with the reaction named and what to write."""
    (broker, store), service = adapters(kind, tmp_path), Service("writer", owns=[Began, First])

    @service.reaction
    async def escape(began: Began) -> None:
        call = service.emit(First(number=1))
        await (asyncio.create_task(call) if spawned else call)

    async with App([service, reader()], broker=broker, store=store, observers=()).running() as app:
        await service.emit(Began(number=1))
        await app.settled()
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert letter.reason == "undeclared_emission"
        assert "called inside the reaction writer.escape" in letter.error
        assert "Return the event instead" in letter.error
        assert await rows(store, "SELECT count(*) FROM followed") == [(0,)]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_event_that_nobody_could_read_is_not_emitted(kind: str, tmp_path: Path) -> None:
    """Types and constraints count, which no constructor looks at: by the service's own hand, and by a reaction's."""

    class Weighed(Event, key="parcel"):
        parcel: str
        grams: Annotated[int, Meta(ge=1)]

    broker, store = adapters(kind, tmp_path)
    service, signals = Service("scales", owns=[Began, Weighed]), Signals({Point.COMMITTED})

    @service.setup
    async def tables(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS weights (grams INTEGER)")

    @service.reaction
    async def weigh(began: Began, tx: Transaction) -> Weighed:
        await tx.execute("INSERT INTO weights VALUES (?)", (began.number,))
        return Weighed(parcel="tea", grams=began.number)

    app = App([service], broker=broker, store=store, observers=[signals])
    async with app.running():
        deep = functools.reduce(lambda inner, _: [inner], range(100_000), "tea")
        wrongs = ({"grams": 0}, {"grams": "much"}, {"parcel": None}, {"parcel": deep}, {"grams": object()})
        for wrong in (*wrongs, {"parcel": ["tea"]}):
            with pytest.raises(
                InvalidEmission, match=r"Weighed.* \(declared at .*test_emission.py:\d+\) was not emitted"
            ):
                await service.emit(Weighed(**{"parcel": "tea", "grams": 1, **wrong}))  # type: ignore[arg-type]
        await service.emit(Began(number=0))
        await service.emit(Began(number=5))
        await signals.reached(Point.COMMITTED, count=2, within="5s")
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert (letter.key, letter.reason, letter.attempts) == ("0", "invalid_emission", 1)
        assert await rows(store, "SELECT grams FROM weights") == [(5,)]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_undeclared_emission_is_refused_inside_the_transaction(kind: str, tmp_path: Path) -> None:
    """The attempt's rows are taken back; the letter names reaction, file, line, what it may emit and what it did."""
    (broker, store), service = adapters(kind, tmp_path), Service("writer", owns=[Began, First])

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS own (number INTEGER)")

    @service.reaction
    async def stray(began: Began, tx: Transaction) -> First | None:
        await tx.execute("INSERT INTO own VALUES (1)")
        return Stranger()  # type: ignore[return-value]  # what is tested

    async with App([service], broker=broker, store=store, observers=()).running() as app:
        await service.emit(Began(number=1))
        await app.settled()
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        line = stray.__code__.co_firstlineno
        assert (letter.reason, letter.attempts) == ("undeclared_emission", 1)
        for said in (f"test_emission.py:{line}", "writer.stray", "may emit First.v1 | None", "returned Stranger"):
            assert said in letter.error
        assert await rows(store, "SELECT count(*) FROM own") == [(0,)]


@pytest.mark.parametrize("kind", KINDS)
async def test_each_form_of_emission_arrives_in_its_order(kind: str, tmp_path: Path) -> None:
    """One, one of two, none, both, many, none of many, a stream: each event once, in the order of the reaction."""
    (broker, store), service = adapters(kind, tmp_path), Service("writer", owns=[Began, First, Second])

    @service.reaction
    async def one(began: Began) -> First:
        return First(number=10)

    @service.reaction
    async def either(began: Began) -> First | Second:
        return Second(number=20)

    @service.reaction
    async def perhaps(began: Began, tx: Transaction) -> First | None:
        return None

    @service.reaction
    async def both(began: Began, tx: Transaction) -> tuple[Second, First]:
        return Second(number=30), First(number=31)

    @service.reaction
    def many(began: Began) -> list[First | Second]:
        return [First(number=40), Second(number=41), First(number=42)]

    @service.reaction
    async def no_many(began: Began, tx: Transaction) -> list[First]:
        return []

    @service.reaction
    async def stream(began: Began, tx: Transaction) -> AsyncIterator[First | Second]:
        for number in range(50, 53):
            await asyncio.sleep(0)
            yield First(number=number)

    async with App([service, reader()], broker=broker, store=store, observers=()).running() as app:
        await service.emit(Began(number=1))
        await app.settled()
        found = [number for (number,) in await rows(store, "SELECT number FROM followed ORDER BY rowid")]
    assert sorted(found) == [10, 20, 30, 31, 40, 41, 42, 50, 51, 52]
    for first in (30, 40, 50):
        same = [number for number in found if number // 10 == first // 10]
        assert same == sorted(same)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_that_fails_half_way_emits_nothing(kind: str, tmp_path: Path) -> None:
    """What it had yielded is not emitted: an attempt is recorded as a whole or not at all."""
    (broker, store), service = adapters(kind, tmp_path), Service("writer", owns=[Began, First])

    @service.reaction(never=ZeroDivisionError)
    async def stream(began: Began) -> AsyncIterator[First]:
        yield First(number=1)
        raise ZeroDivisionError

    async with App([service, reader()], broker=broker, store=store, observers=()).running() as app:
        await service.emit(Began(number=1))
        await app.settled()
        assert await rows(store, "SELECT count(*) FROM followed") == [(0,)]
        assert len(await store.list_dead_letters(DeadLetterFilter())) == 1


# -- identity


@pytest.mark.parametrize("kind", KINDS)
async def test_ids_of_what_is_emitted_follow_from_the_cause(kind: str, tmp_path: Path) -> None:
    """Each is derived from cause, service, reaction and place; all name their cause, and are of its instance."""
    (broker, store), service = adapters(kind, tmp_path), Service("writer", owns=[Began, First, Second])

    @service.reaction
    async def both(began: Began) -> tuple[First, Second]:
        return First(number=1), Second(number=2)

    async with App([service, reader()], broker=broker, store=store, observers=()).running() as app:
        await service.emit(Began(number=1), id="cause", correlation_id="instance")
        await app.settled()
        found = await rows(store, "SELECT id, cause, correlation, idempotency FROM followed ORDER BY number")
    ids = [derive("cause", "writer", "both", ordinal) for ordinal in (0, 1)]
    keys = [derive(event_id, "reader", "write", -1) for event_id in ids]
    assert found == [(event_id, "cause", "instance", key) for event_id, key in zip(ids, keys, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_retried_reaction_emits_the_same_ids_and_idempotency_key(kind: str, tmp_path: Path) -> None:
    """Whatever is called outside is given the same key at every attempt, and the event has one id."""
    (broker, store), service, keys = adapters(kind, tmp_path), Service("writer", owns=[Began, First]), list[str]()

    @service.reaction
    async def follow(began: Began, context: Context) -> First:
        keys.append(context.idempotency_key)
        if context.attempt == 1:
            raise TimeoutError
        return First(number=1)

    async with App([service, reader()], broker=broker, store=store, observers=()).running() as app:
        await service.emit(Began(number=1), id="cause")
        await app.settled()
        assert await rows(store, "SELECT id FROM followed") == [(derive("cause", "writer", "follow", 0),)]
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.slow
def test_what_is_published_again_after_a_crash_has_its_old_id(tmp_path: Path) -> None:
    """A process that died before it wrote down what it had published lets the next one publish the same id again."""
    where = pair(SEPARATE, tmp_path)
    asyncio.run(order(where, [("b", "emitted")]))
    case = Case(where, TRANSACTIONAL)
    assert run(work, case, [crash_at(Point.PUBLISHED, "emitted", "b")]) == KILLED
    [published] = where.logged_ids("Charged")
    assert run(work, case, []) == 0
    assert where.logged_ids("Charged") == [published] == [derive("order-0", "payments", "charge", 0)]


async def test_what_the_log_absorbs_is_counted_for_who_emitted_it(tmp_path: Path) -> None:
    """Services whose calls share a commit are not taken for one another."""
    broker, store = pair(JOINED, tmp_path).adapters()
    left, right = Service("left", owns=[First]), Service("right", owns=[Second])
    async with App([left, right], broker=broker, store=store, observers=()).connected():
        for _ in range(2):
            firsts = [left.emit(First(number=1), id="1"), left.emit(First(number=2), id="2")]
            await asyncio.gather(right.emit(Second(number=3), id="3"), *firsts)
        assert await store.counts() == {"left": {"duplicates_absorbed": 2}, "right": {"duplicates_absorbed": 1}}
