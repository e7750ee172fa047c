"""What `emit(tx=...)` and `emit_sync` refuse, in prose, with nothing emitted; and where minuet's tables may lie."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import aiosqlite
import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from minuet import App, Service, StartupError
from minuet.brokers.sqlite import SqliteBroker
from minuet.errors import StoreUnavailable
from minuet.ports.store import DeadLetterFilter
from minuet.stores.sqlite import SqliteStore
from tests.acceptance.own_servers import own_server
from tests.acceptance.own_transactions import Noted, driver, notes
from tests.acceptance.pairs import JOINED, look, pair
from tests.acceptance.postgres_pairs import POSTGRES, command, create, postgres_pair
from tests.contract.servers import needs

EVENT = Noted(number=1)


def on_postgres(test: Any) -> Any:
    """A test that needs a PostgreSQL."""
    for mark in needs("postgres"):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def database() -> Any:
    """A PostgreSQL database for the tests of this module, which one after the other have it empty."""
    found = postgres_pair(POSTGRES)
    yield found
    found.dropped()


@pytest.fixture
def url(database: Any) -> str:
    """The URL of an empty PostgreSQL database for broker and store."""
    database.emptied()
    return database.store


@pytest.fixture
def file(tmp_path: Any) -> Any:
    """A SQLite file for broker and store."""
    return pair(JOINED, tmp_path).store


def emitted(url: str) -> int:
    """How many events there are."""
    sql = "SELECT count(*) FROM minuet_log"
    if not url.startswith("sqlite"):
        with psycopg.connect(url) as connection:
            [count] = connection.execute(sql).fetchone() or (0,)
            return count
    [(count,)] = look(url.removeprefix("sqlite:///"), sql)
    return count


# -- outside a transaction


AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT", "poolclass": sa.NullPool}


async def give_psycopg(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        notes.emit_sync(EVENT, tx=connection)


async def give_psycopg_async(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await notes.emit(EVENT, tx=connection)


async def give_asyncpg(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await notes.emit(EVENT, tx=connection)
    finally:
        await connection.close()


async def give_session(url: str) -> None:
    with Session(sa.create_engine(driver(url, "postgresql+psycopg"), **AUTOCOMMIT)) as session:
        notes.emit_sync(EVENT, tx=session)


async def give_async_session(url: str) -> None:
    async with AsyncSession(create_async_engine(driver(url, "postgresql+asyncpg"), **AUTOCOMMIT)) as session:
        await notes.emit(EVENT, tx=session)


async def give_sqlite(url: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        notes.emit_sync(EVENT, tx=connection)


async def give_aiosqlite(url: str) -> None:
    async with aiosqlite.connect(url.removeprefix("sqlite:///"), isolation_level=None) as connection:
        await notes.emit(EVENT, tx=connection)


ON_POSTGRES = [give_psycopg, give_psycopg_async, give_asyncpg, give_session, give_async_session]


@pytest.mark.parametrize("give", [pytest.param(give, marks=needs("postgres")) for give in ON_POSTGRES])
async def test_a_postgres_connection_outside_a_transaction_is_refused(give: Any, url: str) -> None:
    """Each statement would commit by itself: the message says so, and to begin a transaction."""
    async with App([notes], broker=url, observers=()).connected():
        with pytest.raises(StoreUnavailable, match=r"no transaction is open.*Begin a transaction, and emit inside it"):
            await give(url)
    assert emitted(url) == 0


@pytest.mark.parametrize("give", [give_sqlite, give_aiosqlite])
async def test_a_sqlite_connection_outside_a_transaction_is_refused(give: Any, file: Any) -> None:
    """So it is on SQLite."""
    url = f"sqlite:///{file}"
    async with App([notes], broker=url, observers=()).connected():
        with pytest.raises(StoreUnavailable, match="no transaction is open"):
            await give(url)
    assert emitted(url) == 0


# -- closed, failed, in use


@pytest.mark.parametrize("state", ["closed", "failed"])
@pytest.mark.parametrize("kind", ["psycopg", "psycopg async", "asyncpg", "Session", "AsyncSession"])
class TestPostgresThatCannotGoOn:
    """A closed connection and a failed transaction are refused, with what to do."""

    pytestmark = needs("postgres")

    async def test_it_is_refused(self, url: str, kind: str, state: str) -> None:
        """The message says why it cannot go on, and to roll back and begin anew."""
        async with App([notes], broker=url, observers=()).connected():
            with pytest.raises(StoreUnavailable, match=r"whose transaction cannot go on: .+Roll it back, and begin"):
                await getattr(self, kind.replace(" ", "_").lower())(url, state)
        assert emitted(url) == 0

    async def psycopg(self, url: str, state: str) -> None:
        with psycopg.connect(url) as connection:
            if state == "closed":
                connection.close()
            else:
                with pytest.raises(psycopg.Error):
                    connection.execute("SELECT 1/0")
            notes.emit_sync(EVENT, tx=connection)

    async def psycopg_async(self, url: str, state: str) -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            if state == "closed":
                await connection.close()
            else:
                with pytest.raises(psycopg.Error):
                    await connection.execute("SELECT 1/0")
            await notes.emit(EVENT, tx=connection)

    async def asyncpg(self, url: str, state: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("BEGIN")
            if state == "closed":
                await connection.close()
            else:
                with pytest.raises(asyncpg.PostgresError):
                    await connection.execute("SELECT 1/0")
            await notes.emit(EVENT, tx=connection)
        finally:
            await connection.close()

    async def session(self, url: str, state: str) -> None:
        engine = sa.create_engine(driver(url, "postgresql+psycopg"), poolclass=sa.NullPool)
        with Session(engine, close_resets_only=False) as session:
            if state == "closed":
                session.close()
            else:
                with pytest.raises(sa.exc.DBAPIError):
                    session.execute(sa.text("SELECT 1/0"))
            notes.emit_sync(EVENT, tx=session)

    async def asyncsession(self, url: str, state: str) -> None:
        engine = create_async_engine(driver(url, "postgresql+asyncpg"), poolclass=sa.NullPool)
        async with AsyncSession(engine, close_resets_only=False) as session:
            if state == "closed":
                await session.close()
            else:
                with pytest.raises(sa.exc.DBAPIError):
                    await session.execute(sa.text("SELECT 1/0"))
            await notes.emit(EVENT, tx=session)


async def test_a_closed_sqlite_connection_is_refused(file: Any) -> None:
    """The message says that it is closed."""
    async with App([notes], broker=f"sqlite:///{file}", observers=()).connected():
        connection = sqlite3.connect(file)
        connection.close()
        with pytest.raises(StoreUnavailable, match=r"cannot go on: Cannot operate on a closed database"):
            notes.emit_sync(EVENT, tx=connection)
        waiting = await aiosqlite.connect(file)
        await waiting.close()
        with pytest.raises(StoreUnavailable, match="cannot go on"):
            await notes.emit(EVENT, tx=waiting)


@on_postgres
async def test_a_pipeline_of_the_users_is_refused(url: str) -> None:
    """What is under way in it has no answer yet."""
    async with App([notes], broker=url, observers=()).connected():
        with (
            psycopg.connect(url) as connection,
            connection.pipeline(),
            pytest.raises(StoreUnavailable, match=r"inside `with connection.pipeline\(\)`"),
        ):
            notes.emit_sync(EVENT, tx=connection)


# -- another database, another type


@on_postgres
async def test_another_database_is_refused(url: str, file: Any) -> None:
    """On the same server, or of another kind: the message names this store, and nothing is written there."""
    other = create(url)
    try:
        async with App([notes], broker=url, observers=()).connected():
            with psycopg.connect(other) as connection:
                with pytest.raises(StoreUnavailable, match=r"to another database.*cannot span two databases"):
                    notes.emit_sync(EVENT, tx=connection)
                connection.commit()
            waiting = await asyncpg.connect(other)
            async with waiting.transaction():
                with pytest.raises(StoreUnavailable, match="to another database"):
                    await notes.emit(EVENT, tx=waiting)
            await waiting.close()
            with (
                closing(sqlite3.connect(file)) as connection,
                pytest.raises(StoreUnavailable, match=r"given a sqlite3.Connection.*PostgreSQL.*psycopg.Connection or"),
            ):
                notes.emit_sync(EVENT, tx=connection)
            with (
                Session(sa.create_engine(f"sqlite:///{file}")) as session,
                pytest.raises(StoreUnavailable, match=r"given a sqlalchemy.Session on sqlite3.Connection"),
            ):
                await notes.emit(EVENT, tx=session)
        async with App([notes], broker=f"sqlite:///{file}", observers=()).connected():
            with (
                psycopg.connect(url) as connection,
                pytest.raises(StoreUnavailable, match=r"given a psycopg.Connection.*aiosqlite.Connection"),
            ):
                notes.emit_sync(EVENT, tx=connection)
            with (
                closing(sqlite3.connect(":memory:")) as connection,
                pytest.raises(StoreUnavailable, match="to a database in memory"),
            ):
                notes.emit_sync(EVENT, tx=connection)
    finally:
        command(url, f"DROP DATABASE {other.rpartition('/')[2]} WITH (FORCE)")
    assert emitted(url) == 0


@on_postgres
async def test_what_is_awaited_is_refused_where_nothing_is(url: str) -> None:
    """The message says to await `emit`; what run_sync() gives is refused by both."""
    async with App([notes], broker=url, observers=()).connected():
        async with await psycopg.AsyncConnection.connect(url) as connection:
            with pytest.raises(StoreUnavailable, match=r"which is awaited. Write `await service.emit\(event, tx"):
                notes.emit_sync(EVENT, tx=connection)
        engine = create_async_engine(driver(url, "postgresql+asyncpg"), poolclass=sa.NullPool)
        async with AsyncSession(engine) as session:
            with pytest.raises(StoreUnavailable, match=r"inside run_sync\(\).*the AsyncSession"):
                await session.run_sync(lambda inner: notes.emit_sync(EVENT, tx=inner))
    with pytest.raises(StartupError, match=r"is not connected.*with app.emitting\(\)"):
        notes.emit_sync(EVENT, tx=None)


# -- where the tables lie, and the server that is started again


@on_postgres
async def test_the_users_search_path_may_lead_elsewhere(url: str) -> None:
    """With `?schema=` minuet's tables are not on the user's path, and the event finds them all the same."""
    async with App([notes], broker=f"{url}?schema=of_minuet", observers=()).connected():
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            await notes.emit(EVENT, tx=connection)
        assert await connection.fetchval("SELECT count(*) FROM of_minuet.minuet_log") == 1
        await connection.close()
        with psycopg.connect(url) as sync:
            notes.emit_sync(EVENT, tx=sync)
            sync.commit()
            assert sync.execute("SELECT count(*) FROM of_minuet.minuet_log").fetchone() == (2,)


@pytest.mark.slow
@pytest.mark.timeout(300)
@on_postgres
async def test_a_server_that_was_started_again_is_the_same() -> None:
    """A connection after the restart is known, from a thread that awaits nothing too."""
    with own_server() as services:
        url = services.urls()["postgres"]
        async with App([notes], broker=url, observers=()).connected():
            await asyncio.to_thread(services.kill, "postgres")
            with psycopg.connect(url) as connection:
                notes.emit_sync(EVENT, tx=connection)
                connection.commit()
            await asyncio.to_thread(services.kill, "postgres")
            waiting = await asyncpg.connect(url)
            async with waiting.transaction():
                await notes.emit(EVENT, tx=waiting)
            await waiting.close()
        assert emitted(url) == 2


# -- in a reaction, and what is imported


async def test_emission_from_inside_a_sync_reaction_is_refused(file: Any) -> None:
    """A thread of a reaction is inside it: the attempt fails, with what to write in its place."""
    service = Service("thread", owns=[])

    @service.reaction
    def escape(noted: Noted, connection: sqlite3.Connection) -> None:
        notes.emit_sync(EVENT, tx=connection)

    store = SqliteStore(str(file))
    async with App([notes, service], broker=SqliteBroker(str(file)), store=store, observers=()).running() as app:
        await notes.emit(EVENT)
        await app.settled()
        [letter] = await store.list_dead_letters(DeadLetterFilter())
    assert letter.reason == "undeclared_emission"
    assert "called inside the reaction thread.escape" in letter.error
    assert emitted(f"sqlite:///{file}") == 1


async def test_an_async_connection_that_was_never_opened_is_refused(file: Any) -> None:
    """SQLAlchemy makes it without connecting; the message is in prose all the same."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    async with App([notes], broker=f"sqlite:///{file}", observers=()).connected():
        with pytest.raises(StoreUnavailable, match=r"a sqlalchemy.AsyncConnection whose transaction cannot go on"):
            await notes.emit(EVENT, tx=engine.connect())


def test_no_driver_is_imported_by_what_knows_its_types() -> None:
    """Neither minuet nor a store imports a driver or SQLAlchemy that its user does not."""
    program = (
        "import sys, minuet.app, minuet.databases.peeling, minuet.stores.sqlite, minuet.stores.postgres;"
        "print([name for name in ('asyncpg', 'aiosqlite', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
