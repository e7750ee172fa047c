"""A batch on PostgreSQL runs ahead of its answers: however wrong a guess is, it ends as if each had run by itself."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from minuet import NEVER, App, Context, Event, Service, Transaction
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.own_servers import own_server
from tests.acceptance.postgres_pairs import POSTGRES, PostgresPair, postgres_pair
from tests.contract.servers import needs

pytestmark = [*needs("postgres"), pytest.mark.slow]

COUNT = 40
ODD = 17
"""The event of the batch with which something is otherwise than before."""
INSERT = "INSERT INTO lines (number, what) VALUES (?, ?)"
UPDATE = "UPDATE sums SET total = total + ? WHERE number = ?"


class Counted(Event, key="number"):
    """A number came."""

    number: int


class Answered(Event, key="number"):
    """What the reaction found, as it went on from it."""

    number: int
    found: int


async def in_the_middle(number: int, tx: Transaction) -> int:
    await tx.execute(INSERT, (number, "before"))
    await tx.execute(UPDATE if number != ODD else "UPDATE nowhere SET total = ? WHERE number = ?", (1, 1))
    return await tx.execute(INSERT, (number, "after"))


async def unique_at_the_end(number: int, tx: Transaction) -> int:
    await tx.execute(INSERT, (number, "before"))
    return await tx.execute("INSERT INTO once VALUES (?)", (number if number != ODD else ODD - 1,))


async def own_result_late(number: int, tx: Transaction) -> int:
    await tx.execute("UPDATE sums SET total = total + 1 WHERE number = 1")
    for _ in range(3):
        await tx.execute(INSERT, (number, "line"))
    found = await tx.fetch_one(int, "SELECT total FROM sums WHERE number = 1")
    await tx.execute(INSERT, (number, f"found {found}"))
    return found or 0


async def another_answer(number: int, tx: Transaction) -> int:
    changed = await tx.execute(UPDATE, (1, 1 if number != ODD else 999))
    await tx.execute(INSERT, (number, f"changed {changed}"))
    return changed


async def raised(number: int, tx: Transaction) -> int:
    await tx.execute(INSERT, (number, "before"))
    if number == ODD:
        raise ValueError("the user's own")
    return await tx.execute(UPDATE, (1, 1))


async def caught(number: int, tx: Transaction) -> int:
    await tx.execute(INSERT, (number, "before"))
    try:
        await tx.execute("INSERT INTO once VALUES (?)", (number if number != ODD else ODD - 1,))
    except psycopg.Error:
        return -1
    return 1


async def swallowed(number: int, tx: Transaction) -> int:
    await tx.execute(INSERT, (number, "before"))
    if number == ODD:
        with contextlib.suppress(psycopg.Error):
            await tx.fetch_one(int, "SELECT 1 / 0")
    return 1


async def many(number: int, tx: Transaction) -> int:
    for each in range(100):
        await tx.execute(INSERT, (number, f"{each}"))
    if number == ODD:
        await tx.execute("INSERT INTO once VALUES (NULL)")
    return await tx.execute("DELETE FROM lines WHERE number = ? AND what <> '7'", (number,))


Reaction = Callable[[int, Transaction], Awaitable[int]]
REACTIONS: dict[str, Reaction] = {
    reaction.__name__: reaction
    for reaction in (in_the_middle, unique_at_the_end, own_result_late, another_answer, raised, caught, swallowed, many)
}


def counting(reaction: Reaction) -> Service:
    """A service that does this with each number, and tells what it found."""
    service = Service("counting", owns=[Counted, Answered])

    @service.setup
    async def tables(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS lines (place BIGSERIAL, number INTEGER, what TEXT)")
        await tx.execute("CREATE TABLE IF NOT EXISTS sums (number INTEGER PRIMARY KEY, total INTEGER)")
        await tx.execute("CREATE TABLE IF NOT EXISTS once (number INTEGER PRIMARY KEY)")
        await tx.execute("INSERT INTO sums VALUES (1, 0) ON CONFLICT DO NOTHING")

    @service.reaction(retry=NEVER)
    async def count(counted: Counted, tx: Transaction, context: Context) -> Answered:
        assert context.attempt == 1
        return Answered(number=counted.number, found=await reaction(counted.number, tx))

    return service


@pytest.fixture(scope="module")
def kept() -> Iterator[PostgresPair]:
    """A database in which nothing has happened yet."""
    with own_server() as server:
        where = postgres_pair(POSTGRES, server.urls()["postgres"])
        asyncio.run(numbered(where, "raised", range(0), one_by_one=True))
        where.keep()
        yield where


async def numbered(where: PostgresPair, name: str, numbers: range, *, one_by_one: bool) -> None:
    """Handle these, which all wait when it begins. Whoever observes each decoding makes each run by itself."""
    service = counting(REACTIONS[name])
    async with App([service], **where.urls(), observers=()).connected():
        for number in numbers:
            await service.emit(Counted(number=number), id=f"n-{number}")
    signals = Signals({Point.COMMITTED, Point.DECODED} if one_by_one else {Point.COMMITTED})
    async with App([service], **where.urls(), observers=[signals]).running() as app:
        await where.worked_off(app)
    assert signals.troubles == []


async def trickling(where: PostgresPair, reaction: Reaction, numbers: range) -> None:
    """Handle these, each emitted when the one before it is done with: a round has one."""
    service, signals = counting(reaction), Signals({Point.COMMITTED})
    async with App([service], **where.urls(), observers=[signals]).running() as app:
        for number in numbers:
            await service.emit(Counted(number=number), id=f"n-{number}")
            await where.worked_off(app)
    assert signals.troubles == []


def ended(where: PostgresPair) -> dict[str, list[tuple[object, ...]]]:
    """Everything that came of it."""
    queries = {
        "lines": "SELECT number, what FROM lines ORDER BY place",
        "sums": "SELECT * FROM sums ORDER BY number",
        "once": "SELECT * FROM once ORDER BY number",
        "letters": "SELECT event_id, reason, split_part(error, chr(10), 1) FROM minuet_dead_letters ORDER BY event_id",
        "answers": "SELECT key, id, body FROM minuet_log WHERE topic = 'Answered' ORDER BY key",
    }
    return {name: where.look(sql) for name, sql in queries.items()}


@pytest.mark.parametrize("name", REACTIONS)
def test_a_wrong_guess_ends_as_if_each_had_run_by_itself(kept: PostgresPair, name: str, tmp_path: Path) -> None:
    """State, events, ids and dead letters are those of a run in which every statement was waited for."""
    found = []
    for one_by_one in (True, False):
        where = kept.copied(tmp_path)
        # The second batch meets statements whose answers are known.
        for numbers in (range(ODD - 10), range(ODD - 10, COUNT)):
            asyncio.run(numbered(where, name, numbers, one_by_one=one_by_one))
        assert where.unfinished() == {}
        found.append(ended(where))
    assert found[0] == found[1]
    assert len(found[0]["answers"]) + len(found[0]["letters"]) == COUNT


@pytest.mark.parametrize("name", REACTIONS)
def test_a_wrong_guess_ends_alike_where_each_comes_alone(kept: PostgresPair, name: str, tmp_path: Path) -> None:
    """A turn that has its round to itself runs ahead too, and is right only with what is written at the round's end."""
    where = kept.copied(tmp_path)
    for numbers in (range(ODD - 10), range(ODD - 10, COUNT)):
        asyncio.run(numbered(where, name, numbers, one_by_one=True))
    expected = ended(where)
    where = kept.copied(tmp_path)
    asyncio.run(trickling(where, REACTIONS[name], range(COUNT)))
    assert where.unfinished() == {}
    assert ended(where) == expected


def test_what_fails_ahead_by_its_own_doing_is_not_run_again(kept: PostgresPair, tmp_path: Path) -> None:
    """A reaction that raises while all that it was answered was right has failed once, and did what it did once."""
    runs: list[int] = []

    async def failing(number: int, tx: Transaction) -> int:
        runs.append(number)
        return await raised(number, tx)

    asyncio.run(trickling(where := kept.copied(tmp_path), failing, range(COUNT)))
    assert runs == list(range(COUNT))
    assert [letter[0] for letter in ended(where)["letters"]] == [f"n-{ODD}"]


async def test_what_a_reaction_takes_back_on_its_own_connection_is_not_committed(
    kept: PostgresPair, tmp_path: Path
) -> None:
    """A guess that was wrong in a savepoint that the reaction itself undoes is found all the same."""
    where, service = kept.copied(tmp_path), Service("counting", owns=[Counted])

    @service.reaction(retry=NEVER)
    async def count(counted: Counted, tx: Transaction, connection: psycopg.AsyncConnection[Any]) -> None:
        added = 0
        with contextlib.suppress(psycopg.Error):
            async with connection.transaction():
                added = await tx.execute("INSERT INTO once VALUES (?)", (min(counted.number, ODD),))
                await connection.execute("SELECT 1")
        await tx.execute(INSERT, (counted.number, f"added {added}"))

    async with App([service], **where.urls()).running() as app:
        for number in range(ODD + 3):
            await service.emit(Counted(number=number), id=f"n-{number}")
            await where.worked_off(app)
    added = where.look("SELECT what FROM lines ORDER BY number")
    assert added == [("added 1",)] * (ODD + 1) + [("added 0",)] * 2
