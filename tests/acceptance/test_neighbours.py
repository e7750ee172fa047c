"""A slow reaction and its neighbours: nobody waits for whom he does not depend on."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from minuet import NEVER, App, Context, Event, Service, Transaction, Writes
from minuet.errors import StoreUnavailable
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import DeadLetterFilter
from minuet.testing.signals import Signals
from tests.acceptance.pairs import KINDS, adapters, rows


class Came(Event):
    """Somebody came."""

    number: int


class Went(Event):
    """Somebody went."""

    number: int


def house() -> Service:
    service = Service("house", owns=[Came, Went])

    @service.setup
    async def guests(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS guests (number INTEGER, who TEXT)")

    return service


@pytest.mark.parametrize("kind", KINDS)
async def test_a_slow_awaiting_reaction_stalls_nobody(kind: str, tmp_path: Path) -> None:
    """While a hundred calls to the outside wait, a transactional neighbour handles a hundred events of its own."""
    (broker, store), service, signals = adapters(kind, tmp_path), house(), Signals({Point.COMMITTED, Point.DECODED})
    gate = asyncio.Event()

    @service.reaction
    async def call(came: Came, writes: Writes) -> Went:
        await gate.wait()
        writes.execute("INSERT INTO guests VALUES (?, 'called')", (came.number,))
        return Went(number=came.number)

    @service.reaction
    async def note(came: Came, tx: Transaction) -> None:
        await tx.execute("INSERT INTO guests VALUES (?, 'noted')", (came.number,))

    async with App([service], broker=broker, store=store, observers=[signals]).running() as app:
        await asyncio.gather(*[service.emit(Came(number=number)) for number in range(100)])
        await signals.reached(Point.DECODED, reaction="house.call", count=100)
        await signals.reached(Point.COMMITTED, reaction="house.note", count=100)
        assert signals.passed(Point.COMMITTED, reaction="house.call") == []
        async with store.transaction() as unit:
            await unit.transaction.execute("INSERT INTO guests VALUES (0, 'somebody else')")
        gate.set()
        await app.settled()
        assert await rows(store, "SELECT who, count(*) FROM guests GROUP BY who ORDER BY who") == [
            ("called", 100),
            ("noted", 100),
            ("somebody else", 1),
        ]


@pytest.mark.parametrize("kind", KINDS)
async def test_concurrency_bounds_how_many_run_at_once(kind: str, tmp_path: Path) -> None:
    """With concurrency=3 there are never more, and never fewer while there is work."""
    (broker, store), service, running = adapters(kind, tmp_path), house(), list[int]()
    most: list[int] = []

    @service.reaction(concurrency=3)
    async def call(came: Came) -> None:
        running.append(came.number)
        most.append(len(running))
        for _ in range(20):
            await asyncio.sleep(0)
        running.remove(came.number)

    app = App([service], broker=broker, store=store, observers=())
    async with app.connected():
        await asyncio.gather(*[service.emit(Came(number=number)) for number in range(20)])
    async with app.running():
        await app.settled()
    assert len(most) == 20
    assert max(most) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_sync_reactions_run_in_threads(kind: str, tmp_path: Path) -> None:
    """They block a thread and not the loop, with Writes or with the store's connection in the same transaction."""
    (broker, store), service = adapters(kind, tmp_path), house()
    main, threads, release = threading.get_ident(), set[int](), threading.Event()
    loop, entered = asyncio.get_running_loop(), asyncio.Event()

    @service.reaction
    def write(came: Came, writes: Writes, context: Context) -> Went:
        threads.add(threading.get_ident())
        loop.call_soon_threadsafe(entered.set)
        assert release.wait(10)
        writes.execute("INSERT INTO guests VALUES (?, ?)", (came.number, context.reaction))
        return Went(number=came.number)

    @service.reaction
    def connect(went: Went, connection: sqlite3.Connection) -> None:
        threads.add(threading.get_ident())
        connection.execute("INSERT INTO guests VALUES (?, 'connect')", (went.number,))

    async with App([service], broker=broker, store=store, observers=()).running() as app:
        await service.emit(Came(number=1))
        await entered.wait()
        release.set()
        await app.settled()
        assert await rows(store, "SELECT number, who FROM guests ORDER BY rowid") == [(1, "write"), (1, "connect")]
    assert main not in threads


@pytest.mark.parametrize("kind", KINDS)
async def test_a_native_connection_shares_the_fate_of_its_reaction(kind: str, tmp_path: Path) -> None:
    """What is written on it goes when the reaction fails; ending its transaction is refused in prose."""
    (broker, store), service = adapters(kind, tmp_path), house()
    refused: list[str] = []

    @service.reaction(retry=NEVER)
    async def meddle(came: Came, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO guests VALUES (?, 'meddle')", (came.number,))
        for end in (
            connection.commit,
            connection.rollback,
            connection.close,
            lambda: connection.executescript("SELECT 1"),
            lambda: setattr(connection, "row_factory", sqlite3.Row),
        ):
            try:
                end()
            except StoreUnavailable as error:
                refused.append(str(error))
        if came.number == 1:
            raise LookupError

    async with App([service], broker=broker, store=store, observers=()).running() as app:
        for number in (1, 2):
            await service.emit(Came(number=number))
        await app.settled()
        assert await rows(store, "SELECT number FROM guests") == [(2,)]
        assert len(await store.list_dead_letters(DeadLetterFilter())) == 1
    assert len(refused) == 10
    assert all("on the connection of a reaction" in said for said in refused)


@pytest.mark.parametrize("kind", KINDS)
async def test_savepoints_of_its_own_are_a_reactions_to_use(kind: str, tmp_path: Path) -> None:
    """It may take back a part of what it wrote, and may leave a savepoint open."""
    (broker, store), service = adapters(kind, tmp_path), house()

    @service.reaction
    async def try_it(came: Came, tx: Transaction) -> None:
        await tx.execute("SAVEPOINT attempt")
        await tx.execute("INSERT INTO guests VALUES (?, 'first')", (came.number,))
        await tx.execute("ROLLBACK TO attempt")
        await tx.execute("INSERT INTO guests VALUES (?, 'second')", (came.number,))

    async with App([service], broker=broker, store=store, observers=()).running() as app:
        for number in range(3):
            await service.emit(Came(number=number))
        await app.settled()
        assert await rows(store, "SELECT number, who FROM guests") == [(number, "second") for number in range(3)]


@pytest.mark.parametrize("kind", KINDS)
async def test_two_reactions_to_one_event_succeed_and_die_apart(kind: str, tmp_path: Path) -> None:
    """One is handled, one is retried and one dies, in one service: each has its own attempts and its own letter."""
    (broker, store), service, signals = adapters(kind, tmp_path), house(), Signals({Point.COMMITTED})

    @service.reaction
    async def fine(came: Came, tx: Transaction) -> None:
        await tx.execute("INSERT INTO guests VALUES (?, 'fine')", (came.number,))

    @service.reaction
    async def slow(came: Came, writes: Writes, context: Context) -> None:
        writes.execute("INSERT INTO guests VALUES (?, 'slow')", (came.number,))
        if context.attempt == 1:
            raise TimeoutError

    @service.reaction(retry=NEVER)
    async def broken(came: Came, tx: Transaction) -> None:
        await tx.execute("INSERT INTO guests VALUES (?, 'broken')", (came.number,))
        raise LookupError

    async with App([service], broker=broker, store=store, observers=[signals]).running() as app:
        await service.emit(Came(number=1))
        await app.settled()
        assert sorted(await rows(store, "SELECT who FROM guests")) == [("fine",), ("slow",)]
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert letter.consumer == "house.broken"
        assert await store.counts() == {"house": {"dead_letters": 1, "retries": 1}}
        outcomes = {(turn.reaction, turn.outcome) for turn in signals.passed(Point.COMMITTED)}
        assert outcomes == {
            ("house.fine", Outcome.HANDLED),
            ("house.slow", Outcome.RETRY),
            ("house.slow", Outcome.HANDLED),
            ("house.broken", Outcome.DEAD),
        }
