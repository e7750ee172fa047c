"""Rows that minuet sends together mean what they mean one by one, whatever is in the tables."""

import asyncio
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from minuet import NEVER, App, Event, Service, Transaction
from minuet.ports.observer import Outcome, Point
from minuet.testing.signals import Signals
from tests.acceptance.postgres_pairs import POSTGRES, postgres_pair
from tests.contract.servers import needs

pytestmark = needs("postgres")
MANY = 300


class Rung(Event, version=1, key="number"):
    """Somebody rang."""

    number: int


@pytest.fixture
def url() -> Iterator[str]:
    """A database of the test's own on the server."""
    made = postgres_pair(POSTGRES)
    yield made.store
    made.dropped()


def bell(*tables: str) -> Service:
    """A service that has no reaction yet, on these tables."""
    service = Service("bell", owns=[Rung])

    @service.setup
    async def create(tx: Transaction) -> None:
        for table in tables:
            await tx.execute(table)

    return service


async def ring(service: Service, url: str, *, dead: int = 0) -> None:
    """Let it react to many events; the first alone, so that it is known what its statements answer."""
    signals = Signals({Point.COMMITTED})
    async with App([service], broker=url, store=url, observers=[signals]).running():
        await service.emit(Rung(number=0))
        await signals.reached(Point.COMMITTED, count=1, within="10s")
        await asyncio.gather(*[service.emit(Rung(number=number)) for number in range(1, MANY)])
        await signals.reached(Point.COMMITTED, count=MANY, within="30s")
    assert len(signals.passed(Point.COMMITTED, outcome=Outcome.DEAD)) == dead
    assert signals.troubles == []


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql).fetchall()


async def test_rows_go_together(url: str) -> None:
    """What the others in this file are about happens at all: the server is told of far fewer statements than rows."""
    service = bell(
        "CREATE TABLE rung (place BIGINT GENERATED ALWAYS AS IDENTITY, number INTEGER, command XID, seen CID)"
    )

    @service.reaction
    async def note(rung: Rung, tx: Transaction) -> None:
        await tx.execute("INSERT INTO rung (number) VALUES (?)", (rung.number,))

    await ring(service, url)
    assert sorted(rows(url, "SELECT number FROM rung")) == [(n,) for n in range(MANY)]
    [(commands,)] = rows(url, "SELECT count(DISTINCT (xmin::text, cmin::text)) FROM rung")
    assert commands < MANY / 4


async def test_every_kind_of_value_arrives(url: str) -> None:
    """Values of every type are inferred in a row among many as they are in one."""
    service = bell(
        "CREATE TABLE kinds "
        "(n INTEGER, b BOOLEAN, d DOUBLE PRECISION, m NUMERIC, x BYTEA, t DATE, j JSONB, z TEXT, k INTEGER)"
    )
    values = (True, 1.5, Decimal("2.50"), b"\0\1", date(2026, 11, 22), '{"a": "$1"}', None)

    @service.reaction
    async def note(rung: Rung, tx: Transaction) -> None:
        await tx.execute("INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?, ?, ?, -7)", (rung.number, *values))

    await ring(service, url)
    found = rows(url, "SELECT n, b, d, m, x, t, j::text, z, k FROM kinds ORDER BY n")
    assert found == [(n, *values, -7) for n in range(MANY)]


@pytest.mark.parametrize(
    "more",
    [
        "CREATE TRIGGER ringing AFTER INSERT ON rung FOR EACH STATEMENT EXECUTE FUNCTION counted()",
        "CREATE TRIGGER ringing BEFORE INSERT ON rung FOR EACH ROW EXECUTE FUNCTION counted()",
        "CREATE RULE ringing AS ON INSERT TO rung DO ALSO UPDATE total SET number = number + 1",
    ],
    ids=["statement trigger", "row trigger", "rule"],
)
async def test_what_the_database_does_for_each_insert_it_does_for_each(url: str, more: str) -> None:
    """Triggers and rules fire once for each event, however its row was sent."""
    service = bell(
        "CREATE TABLE total (number INTEGER)",
        "INSERT INTO total VALUES (0)",
        "CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN UPDATE total SET number = number + 1; RETURN NEW; END'",
        "CREATE TABLE rung (number INTEGER)",
        more,
    )

    @service.reaction
    async def note(rung: Rung, tx: Transaction) -> None:
        await tx.execute("INSERT INTO rung VALUES (?)", (rung.number,))

    await ring(service, url)
    assert rows(url, "SELECT number FROM total") == [(MANY,)]


@pytest.mark.parametrize(
    ("into", "tables"),
    [
        ("rung", ["CREATE TABLE rung (number INTEGER)"]),
        (
            "rung",
            [
                "CREATE TABLE rung (number INTEGER) PARTITION BY RANGE (number)",
                "CREATE TABLE part PARTITION OF rung DEFAULT",
            ],
        ),
        ("shown", ["CREATE TABLE rung (number INTEGER)", "CREATE VIEW shown AS TABLE rung"]),
    ],
    ids=["table", "partition", "view"],
)
@pytest.mark.parametrize("each", ["ROW", "STATEMENT"])
async def test_what_a_trigger_sees_after_an_insert_is_what_was_there_then(
    url: str, into: str, tables: list[str], each: str
) -> None:
    """It counts as many rows as there were events before it, wherever it stands, and none twice."""
    on = "part" if len(tables) > 1 and into == "rung" and each == "ROW" else "rung"
    service = bell(
        *tables,
        "CREATE TABLE counted (rows INTEGER)",
        "CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO counted SELECT count(*) FROM rung; RETURN NULL; END'",
        f"CREATE TRIGGER counting AFTER INSERT ON {on} FOR EACH {each} EXECUTE FUNCTION counts()",
    )

    @service.reaction
    async def note(rung: Rung, tx: Transaction) -> None:
        await tx.execute(f"INSERT INTO {into} VALUES (?)", (rung.number,))

    await ring(service, url)
    assert rows(url, "SELECT rows FROM counted ORDER BY 1") == [(n + 1,) for n in range(MANY)]


async def test_an_answer_is_never_wrong_in_the_end(url: str) -> None:
    """Of every three events two find the row there already, and are told so."""
    service = bell(
        "CREATE TABLE thirds (third INTEGER PRIMARY KEY)", "CREATE TABLE told (number INTEGER, rows INTEGER)"
    )

    @service.reaction
    async def note(rung: Rung, tx: Transaction) -> None:
        inserted = await tx.execute("INSERT INTO thirds VALUES (?) ON CONFLICT DO NOTHING", (rung.number // 3,))
        await tx.execute("INSERT INTO told VALUES (?, ?)", (rung.number, inserted))

    await ring(service, url)
    assert rows(url, "SELECT number, rows FROM told ORDER BY 1") == [(n, int(n % 3 == 0)) for n in range(MANY)]


async def test_a_wrong_answer_does_not_hide_behind_a_savepoint_of_the_reaction_s_own(url: str) -> None:
    """What a wrong answer refuses may be caught and taken back by the reaction: it is not told of it in the end."""
    service = bell("CREATE TABLE thirds (third INTEGER PRIMARY KEY)", "CREATE TABLE told (number INTEGER, what TEXT)")

    @service.reaction
    async def note(rung: Rung, tx: Transaction, connection: psycopg.AsyncConnection) -> None:
        try:
            async with connection.transaction():
                inserted = await tx.execute("INSERT INTO thirds VALUES (?) ON CONFLICT DO NOTHING", (rung.number // 3,))
                await connection.execute("SELECT 1")
                what = str(inserted)
        except psycopg.Error as error:
            what = type(error).__name__
        await connection.execute("INSERT INTO told VALUES (%s, %s)", (rung.number, what))

    await ring(service, url)
    assert rows(url, "SELECT number, what FROM told ORDER BY 1") == [(n, str(int(n % 3 == 0))) for n in range(MANY)]


async def test_what_is_asked_after_a_row_sees_it(url: str) -> None:
    """A query, and an update, find the row that was inserted just before."""
    service = bell("CREATE TABLE rung (number INTEGER)", "CREATE TABLE seen (number INTEGER, rows INTEGER)")

    @service.reaction
    async def note(rung: Rung, tx: Transaction) -> None:
        await tx.execute("INSERT INTO rung VALUES (?)", (rung.number,))
        if rung.number % 7 == 0:
            there = await tx.fetch_one(int, "SELECT count(*) FROM rung WHERE number = ?", (rung.number,))
            await tx.execute("INSERT INTO seen VALUES (?, ?)", (rung.number, there))
        await tx.execute("UPDATE rung SET number = number WHERE number = ?", (rung.number,))

    await ring(service, url)
    assert rows(url, "SELECT rows, count(*) FROM seen GROUP BY rows") == [(1, len(range(0, MANY, 7)))]


async def test_one_row_that_is_refused_is_one_dead_letter(url: str) -> None:
    """A row that a constraint refuses takes none of those sent with it along."""
    service = bell("CREATE TABLE rung (number INTEGER CHECK (number <> 150))")

    @service.reaction(retry=NEVER)
    async def note(rung: Rung, tx: Transaction) -> None:
        await tx.execute("INSERT INTO rung VALUES (?)", (rung.number,))

    await ring(service, url, dead=1)
    assert sorted(rows(url, "SELECT number FROM rung")) == [(n,) for n in range(MANY) if n != 150]
