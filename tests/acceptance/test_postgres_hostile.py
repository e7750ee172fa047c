"""Whatever a reaction does to its PostgreSQL connection, it harms its own event alone."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from minuet import NEVER, App, Event, Service, Transaction, Writes
from minuet.ports.observer import Outcome, Point
from minuet.testing.signals import Signals
from tests.acceptance.own_servers import own_server
from tests.acceptance.postgres_pairs import POSTGRES, PostgresPair, postgres_pair
from tests.contract.servers import needs

pytestmark = [*needs("postgres"), pytest.mark.slow]


class Tried(Event, key="number"):
    """A reaction is asked to do something bad, or nothing."""

    number: int
    trick: str = ""


REFUSED = (
    "COMMIT",
    "/* now */ end transaction ;",
    "-- now\ncommit and chain",
    "ROLLBACK",
    "rollback to minuet_turn",
    "RELEASE SAVEPOINT minuet_turn",
    'SAVEPOINT "minuet_turn"',
    "BEGIN",
    "START TRANSACTION",
    "ABORT",
    "PREPARE TRANSACTION 'mine'",
    "SET TRANSACTION READ ONLY",
    "SET LOCAL transaction_read_only = on",
    "SELECT set_config('transaction_read_only', 'on', true)",
    "DO $$ BEGIN COMMIT; END $$",
    "CALL committing()",
    "DISCARD ALL",
    "DEALLOCATE ALL",
    "UPDATE minuet_positions SET seq = 9",
    "DELETE FROM public.minuet_log",
    "INSERT INTO nowhere VALUES (1)",
)
SEVERAL = (
    "INSERT INTO done VALUES (77); COMMIT",
    "ROLLBACK; INSERT INTO done VALUES (77)",
    "SELECT ';'; COMMIT; BEGIN",
)
"""What psycopg sends as one text."""
CALLS = {
    "commit()": lambda connection: connection.commit(),
    "rollback()": lambda connection: connection.rollback(),
    "close()": lambda connection: connection.close(),
    "set_autocommit()": lambda connection: connection.set_autocommit(True),
    "a cursor's COMMIT": lambda connection: connection.cursor().execute("COMMIT"),
    "COMMIT as bytes": lambda connection: connection.execute(b"COMMIT"),
    "COMMIT as composed": lambda connection: connection.execute(psycopg.sql.SQL("COMMIT")),
}
LASTING = (
    "SET search_path TO pg_catalog",
    "SET ROLE pg_monitor",
    "SET TIME ZONE 'Asia/Tokyo'",
    "SET statement_timeout = '1ms'",
    "SELECT set_config('search_path', 'pg_catalog', false)",
    "SELECT pg_advisory_lock(42)",
    "LISTEN elsewhere",
    "CREATE TEMPORARY TABLE done (number INTEGER)",
    "DO $$ BEGIN PERFORM set_config('search_path', 'pg_catalog', false); END $$",
)
LOOK = """
    INSERT INTO public.looks SELECT current_setting('search_path'), current_user, current_setting('TimeZone'),
    current_setting('statement_timeout'), (SELECT count(*) FROM pg_listening_channels()),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = 42),
    pg_my_temp_schema() <> 0 AND EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = pg_my_temp_schema())
"""


async def by_transaction(tried: Tried, tx: Transaction) -> None:
    await tx.execute(tried.trick)


async def by_connection(tried: Tried, connection: psycopg.AsyncConnection) -> None:
    if tried.trick in CALLS:
        await CALLS[tried.trick](connection)
    else:
        await connection.execute(tried.trick)


async def unawaited(tried: Tried, tx: Transaction) -> None:
    asyncio.ensure_future(tx.execute(tried.trick)).add_done_callback(asyncio.Task.exception)
    await asyncio.sleep(0)


async def caught(tried: Tried, tx: Transaction) -> None:
    try:
        await tx.execute(tried.trick)
    except psycopg.Error:
        return


def victim(way: str) -> Service:
    """A service that does what it is asked in this way."""
    service = Service("victim", owns=[Tried])

    @service.setup
    async def tables(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS done (number INTEGER)")
        await tx.execute("CREATE TABLE IF NOT EXISTS looks (path TEXT, who TEXT, zone TEXT, timeout TEXT, channels INT,"
                         " locks INT, scratch BOOLEAN)")  # fmt: skip
        await tx.execute("CREATE OR REPLACE PROCEDURE committing() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$")

    if way == "Writes":

        @service.reaction(retry=NEVER)
        async def react(tried: Tried, writes: Writes) -> None:
            writes.execute("INSERT INTO public.done VALUES (?)", (tried.number,))
            if tried.trick:
                writes.execute(tried.trick)

    else:

        @service.reaction(retry=NEVER)
        async def react(tried: Tried, tx: Transaction, connection: psycopg.AsyncConnection) -> None:
            await tx.execute("INSERT INTO public.done VALUES (?)", (tried.number,))
            match way if tried.trick else "":
                case "Transaction":
                    await by_transaction(tried, tx)
                case "connection":
                    await by_connection(tried, connection)
                case "unawaited":
                    await unawaited(tried, tx)
                case "caught":
                    await caught(tried, tx)
                case _:
                    await tx.execute(LOOK)

    return service


@pytest.fixture(scope="module")
def kept() -> Iterator[PostgresPair]:
    """A database in which nothing has happened yet, where no transaction of anybody else holds the log back."""
    with own_server() as server:
        where = postgres_pair(POSTGRES, server.urls()["postgres"])
        asyncio.run(prepared(where))
        where.keep()
        yield where


async def prepared(where: PostgresPair) -> None:
    async with App([victim("Transaction")], **where.urls()).running():
        pass


async def tricked(where: PostgresPair, way: str, trick: str) -> Signals:
    """Five events of which the second is bad, in one round and on one connection; another one when they are done."""
    service, signals = victim(way), Signals({Point.COMMITTED})
    url = f"{where.store}?pool=1"
    async with App([service], broker=url, store=url, observers=()).connected():
        for number in range(5):
            await service.emit(Tried(number=number, trick=trick if number == 1 else ""))
    async with App([service], broker=url, store=url, observers=[signals]).running():
        await signals.reached(Point.COMMITTED, count=5, within="30s")
        await service.emit(Tried(number=5))
        await signals.reached(Point.COMMITTED, count=6, within="30s")
    return signals


WAYS = [
    *[(way, trick) for way in ("Transaction", "connection") for trick in REFUSED],
    *[("Writes", trick) for trick in ("COMMIT", "ROLLBACK", "INSERT INTO nowhere VALUES (1)")],
    *[("connection", trick) for trick in (*SEVERAL, *CALLS)],
    ("unawaited", "INSERT INTO nowhere VALUES (1)"),
    ("caught", "INSERT INTO nowhere VALUES (1)"),
]


@pytest.mark.parametrize(("way", "trick"), WAYS)
async def test_a_bad_statement_harms_its_own_event_alone(kept, way: str, trick: str, tmp_path: Path) -> None:
    """Events before and after it, in its own round and later, are handled once; it is one dead letter."""
    where = kept.copied(tmp_path)
    signals = await tricked(where, way, trick)
    assert sorted(where.look("SELECT number FROM done")) == [(0,), (2,), (3,), (4,), (5,)]
    assert [turn.key for turn in signals.passed(Point.COMMITTED, outcome=Outcome.DEAD)] == ["1"]
    assert len(where.look("SELECT 1 FROM minuet_dead_letters")) == 1
    assert where.unfinished() == {}
    assert signals.troubles == []


@pytest.mark.parametrize(
    ("way", "trick"),
    [*[(way, trick) for way in ("Transaction", "connection") for trick in LASTING], ("Writes", LASTING[0])],
)
async def test_what_a_reaction_sets_is_gone_for_the_next(kept, way: str, trick: str, tmp_path: Path) -> None:
    """It is allowed, and neighbours in its round and later ones on its connection find everything as it was."""
    where = kept.copied(tmp_path)
    signals = await tricked(where, way, trick)
    assert sorted(where.look("SELECT number FROM done")) == [(number,) for number in range(6)]
    assert len({str(row) for row in where.look("SELECT * FROM looks")}) == (0 if way == "Writes" else 1)
    assert [turn.outcome for turn in signals.passed(Point.COMMITTED)] == [Outcome.HANDLED] * 6
    assert signals.troubles == []
