"""A user's own psycopg connection, and minuet's in a reaction's hands: one transaction either way."""

import asyncio
import uuid

import psycopg
import pytest

from minuet import App, Event, Service, Transaction
from tests.contract.servers import needs, own_database

pytestmark = needs("postgres")


@pytest.fixture
def url():
    """A database of the test's own on the server."""
    with own_database() as url:
        yield url


class Asked(Event, version=1, key="who"):
    """Somebody asked."""

    who: str


def asking():
    """A service of a new name that writes down who asked, by every way there is, and its table."""
    table = f"asked_{uuid.uuid4().hex[:12]}"
    service = Service(table, owns=[Asked])

    @service.setup
    async def tables(tx: Transaction) -> None:
        await tx.execute(f"CREATE TABLE {table} (who TEXT PRIMARY KEY, how TEXT, times INTEGER)")

    @service.reaction
    async def note(asked: Asked, tx: Transaction, connection: psycopg.AsyncConnection) -> None:
        await tx.execute(f"INSERT INTO {table} VALUES (?, 'tx', 0)", (asked.who,))
        await connection.execute(f"UPDATE {table} SET how = how || ' and psycopg' WHERE who = %s", (asked.who,))

    @service.reaction
    async def count(asked: Asked, tx: Transaction) -> None:
        changed = await tx.execute(f"UPDATE {table} SET times = times + 1 WHERE who = 'first'")
        found = await tx.fetch_one(int, f"SELECT count(*) FROM {table} WHERE who = 'first'")
        assert changed == found, f"{changed} rows changed, and there are {found}"

    return service, table


async def rows_of(url, table):
    """What stands in the table, read by somebody else."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute(f"SELECT who, how FROM {table} ORDER BY who")).fetchall()


async def within(url, app, service):
    """Emit in transactions of the user's own: one commits, one rolls back, many come together."""
    async with app.running(), await psycopg.AsyncConnection.connect(url) as connection:
        async with connection.transaction():
            await connection.execute("SELECT 1")
            await service.emit(Asked(who="first"), tx=connection)
        async with connection.transaction():
            await service.emit(Asked(who="never"), tx=connection)
            raise psycopg.Rollback
        await service.emit(Asked(who="implicit"), tx=connection)
        await connection.commit()
        await asyncio.gather(*(service.emit(Asked(who=f"{number:02}")) for number in range(40)))
        async with asyncio.timeout(60):
            await app.settled()


def test_an_event_commits_with_the_users_own_transaction(url) -> None:
    """After the commit it is handled, after the rollback it never was, and nothing is a dead letter."""
    service, table = asking()
    app = App([service], broker=url, store=url)
    asyncio.run(within(url, app, service))
    expected = sorted(["first", "implicit", *(f"{number:02}" for number in range(40))])
    assert asyncio.run(rows_of(url, table)) == [(who, "tx and psycopg") for who in expected]
