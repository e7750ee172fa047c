"""Emitting in the user's own transaction: their rows and the event are one, on every driver."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from minuet import App, Service, Transaction
from minuet.databases import postgres as postgres_database
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance import own_transactions
from tests.acceptance.forked import KILLED, Forked, Parent
from tests.acceptance.own_transactions import MAKE, Hand, Noted, notes
from tests.acceptance.pairs import JOINED, SEPARATE, pair
from tests.acceptance.postgres_pairs import POSTGRES, POSTGRES_SEPARATE, PostgresPair, command, postgres_pair
from tests.contract.servers import needs

ON_POSTGRES = [
    pytest.param(name, kind, id=f"{name} {kind}", marks=needs("postgres"))
    for name in own_transactions.POSTGRES
    for kind in (POSTGRES, POSTGRES_SEPARATE)
]
ON_SQLITE = [
    pytest.param(name, kind, id=f"{name} {kind}") for name in own_transactions.SQLITE for kind in (JOINED, SEPARATE)
]
every_way = pytest.mark.parametrize(("way", "kind"), [*ON_POSTGRES, *ON_SQLITE])
WAYS = own_transactions.POSTGRES | own_transactions.SQLITE


def reader() -> Service:
    """Writes down what it is told."""
    service = Service("reader")

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS told (number INTEGER)")

    @service.reaction
    async def write(noted: Noted, tx: Transaction) -> None:
        await tx.execute("INSERT INTO told VALUES (?)", (noted.number,))

    return service


@pytest.fixture(scope="module")
def databases() -> Iterator[Callable[[str], PostgresPair]]:
    """Databases of this module's, with the user's own table; each test has them empty."""
    made: dict[str, PostgresPair] = {}

    def empty(kind: str) -> PostgresPair:
        if kind not in made:
            made[kind] = postgres_pair(kind)
            command(made[kind].store, MAKE)
        made[kind].emptied()
        return made[kind]

    yield empty
    for one in made.values():
        one.dropped()


@pytest.fixture
def where(kind: str, databases: Callable[[str], PostgresPair], tmp_path: Path) -> Any:
    """The broker and store of the test, with the user's own table."""
    if kind in (POSTGRES, POSTGRES_SEPARATE):
        return databases(kind)
    found = pair(kind, tmp_path)
    with closing(sqlite3.connect(found.store)) as connection:
        connection.execute(MAKE)
    return found


async def handled(where: Any) -> list[int]:
    """Let everything that is there be handled; what was told, in order."""
    async with App([notes, reader()], **where.urls(), observers=()).running() as app, asyncio.timeout(60):
        await app.settled()
    return sorted(number for (number,) in where.look("SELECT number FROM told"))


def own(where: Any) -> list[int]:
    """The user's rows."""
    return sorted(number for (number,) in where.look("SELECT number FROM own"))


@every_way
async def test_rows_and_event_are_one(way: str, where: Any) -> None:
    """A commit keeps both, a rollback takes both, a savepoint that is undone takes what came after it."""
    async with App([notes], **where.urls(), observers=()).connected(), WAYS[way](where.urls()["store"]) as hand:
        await hand.begun()
        await hand.write(1)
        await hand.write(2)
        await hand.commit()
        await hand.begun()
        await hand.write(3)
        await hand.rollback()
        await hand.begun()
        await hand.write(4)
        await hand.execute("SAVEPOINT theirs")
        await hand.write(5)
        await hand.execute("ROLLBACK TO SAVEPOINT theirs")
        await hand.execute("SAVEPOINT theirs")
        await hand.write(6)
        await hand.execute("RELEASE SAVEPOINT theirs")
        await hand.commit()
        await hand.begun()
        await hand.emit(7)
        await hand.commit()
    assert own(where) == [1, 2, 4, 6]
    assert await handled(where) == [1, 2, 4, 6, 7]


@every_way
async def test_the_users_commit_wakes_who_reacts(way: str, where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is told before the commit. After it the reaction comes at once, not with the next sweep."""
    monkeypatch.setattr(postgres_database, "SWEEP_SECONDS", 3600)
    signals = Signals({Point.COMMITTED})
    async with App([notes, reader()], **where.urls(), observers=[signals]).running() as app:
        await app.settled()
        async with WAYS[way](where.urls()["store"]) as hand:
            await hand.begun()
            await hand.write(1)
            assert signals.turns == []
            await hand.commit()
            await signals.reached(Point.COMMITTED, reaction="reader.write")


async def crashing(parent: Parent, way: str, urls: dict[str, str], until: str) -> None:
    """Write and emit, and say how far it has come."""
    async with App([notes], **urls, observers=()).connected(), WAYS[way](urls["store"]) as hand:
        await step(hand, until)
        parent.say("there")
        parent.wait_for_word()


async def step(hand: Hand, until: str) -> None:
    await hand.begun()
    await hand.execute("INSERT INTO own VALUES (1)")
    if until != "written":
        await hand.emit(1)
    if until == "committed":
        await hand.commit()


@pytest.mark.slow
@pytest.mark.parametrize("until", ["written", "emitted", "committed"])
@every_way
async def test_a_killed_process_leaves_both_or_neither(way: str, where: Any, until: str) -> None:
    """Killed before the commit, neither was ever there. Killed right after it, both are, and the event is handled."""
    async with Forked(crashing, way, where.urls(), until) as process:
        await process.says("there")
        process.kill()
        assert await process.ended() == KILLED
    expected = [1] if until == "committed" else []
    assert own(where) == expected
    assert await handled(where) == expected


CONCURRENT = 20


@pytest.mark.parametrize(("way", "kind"), ON_POSTGRES)
async def test_many_transactions_at_once(way: str, where: Any) -> None:
    """Each has its own rows and events; every other one is rolled back."""

    async def one(number: int) -> None:
        async with WAYS[way](where.urls()["store"]) as hand:
            await hand.begun()
            await hand.write(number)
            await (hand.rollback() if number % 2 else hand.commit())

    async with App([notes], **where.urls(), observers=()).connected():
        await asyncio.gather(*map(one, range(CONCURRENT)))
    assert own(where) == await handled(where) == list(range(0, CONCURRENT, 2))
