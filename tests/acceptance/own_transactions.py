"""The ways in which users hold a transaction: each driver, plain and through SQLAlchemy, awaited and not."""

import inspect
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import aiosqlite
import asyncpg
import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from minuet import Event, Service

MAKE = "CREATE TABLE own (number INTEGER)"
INSERT = "INSERT INTO own VALUES ({})"


class Noted(Event, key="number"):
    """A row with this number was written."""

    number: int


notes = Service("notes", owns=[Noted])


async def awaited(value: Awaitable[Any] | object) -> Any:
    """What a call came to, whether it is awaited or not."""
    return await value if inspect.isawaitable(value) else value


@dataclass
class Hand:
    """A user's connection or session, and how its SQL is performed."""

    tx: Any
    perform: Callable[[str], Any]
    begin: str = ""
    """What begins a transaction; empty where the driver does by itself."""
    ends: bool = True
    """Whether `tx.commit()` ends it; else SQL does."""
    sync: bool = False

    async def execute(self, sql: str) -> None:
        await awaited(self.perform(sql))

    async def begun(self) -> None:
        if self.begin:
            await self.execute(self.begin)

    async def write(self, number: int) -> None:
        """A row, and the event that tells of it."""
        await self.execute(INSERT.format(number))
        await self.emit(number)

    async def emit(self, number: int) -> str:
        event = Noted(number=number)
        return notes.emit_sync(event, tx=self.tx) if self.sync else await notes.emit(event, tx=self.tx)

    async def commit(self) -> None:
        await (awaited(self.tx.commit()) if self.ends else self.execute("COMMIT"))

    async def rollback(self) -> None:
        await (awaited(self.tx.rollback()) if self.ends else self.execute("ROLLBACK"))


def driver(url: str, scheme: str) -> str:
    """The URL as SQLAlchemy reads it."""
    return f"{scheme}://{url.partition('://')[2]}"


# -- PostgreSQL


@asynccontextmanager
async def psycopg_sync(url: str) -> AsyncIterator[Hand]:
    with psycopg.connect(url) as connection:
        yield Hand(connection, connection.execute, sync=True)


@asynccontextmanager
async def psycopg_sync_awaited(url: str) -> AsyncIterator[Hand]:
    with psycopg.connect(url) as connection:
        yield Hand(connection, connection.execute)


@asynccontextmanager
async def psycopg_autocommit(url: str) -> AsyncIterator[Hand]:
    """A connection that begins nothing by itself, in a transaction that its user began."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield Hand(connection, connection.execute, begin="BEGIN", sync=True)


@asynccontextmanager
async def psycopg_async(url: str) -> AsyncIterator[Hand]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield Hand(connection, connection.execute)


@asynccontextmanager
async def asyncpg_plain(url: str) -> AsyncIterator[Hand]:
    connection = await asyncpg.connect(url)
    try:
        yield Hand(connection, connection.execute, begin="BEGIN", ends=False)
    finally:
        await connection.close()


@asynccontextmanager
async def asyncpg_pool(url: str) -> AsyncIterator[Hand]:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool, pool.acquire() as connection:
        yield Hand(connection, connection.execute, begin="BEGIN", ends=False)


# -- SQLAlchemy


def session_on(scheme: str) -> Any:
    @asynccontextmanager
    async def session(url: str) -> AsyncIterator[Hand]:
        engine = sa.create_engine(driver(url, scheme), poolclass=sa.NullPool)
        with Session(engine) as session:
            yield Hand(session, lambda sql: session.execute(sa.text(sql)), sync=True)

    return session


def scoped_on(scheme: str) -> Any:
    @asynccontextmanager
    async def scoped(url: str) -> AsyncIterator[Hand]:
        session = scoped_session(sessionmaker(sa.create_engine(driver(url, scheme), poolclass=sa.NullPool)))
        yield Hand(session, lambda sql: session.execute(sa.text(sql)), sync=True)
        session.remove()

    return scoped


def connection_on(scheme: str) -> Any:
    @asynccontextmanager
    async def connection(url: str) -> AsyncIterator[Hand]:
        with sa.create_engine(driver(url, scheme), poolclass=sa.NullPool).connect() as connection:
            yield Hand(connection, lambda sql: connection.execute(sa.text(sql)), sync=True)

    return connection


def async_session_on(scheme: str) -> Any:
    @asynccontextmanager
    async def session(url: str) -> AsyncIterator[Hand]:
        engine = create_async_engine(driver(url, scheme), poolclass=sa.NullPool)
        async with AsyncSession(engine) as session:
            yield Hand(session, lambda sql: session.execute(sa.text(sql)))

    return session


def async_connection_on(scheme: str) -> Any:
    @asynccontextmanager
    async def connection(url: str) -> AsyncIterator[Hand]:
        engine = create_async_engine(driver(url, scheme), poolclass=sa.NullPool)
        async with engine.connect() as connection:
            yield Hand(connection, lambda sql: connection.execute(sa.text(sql)))

    return connection


# -- SQLite


@asynccontextmanager
async def sqlite_plain(url: str) -> AsyncIterator[Hand]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        yield Hand(connection, connection.execute, sync=True)


@asynccontextmanager
async def sqlite_explicit(url: str) -> AsyncIterator[Hand]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        yield Hand(connection, connection.execute, begin="BEGIN IMMEDIATE", sync=True)


@asynccontextmanager
async def aiosqlite_plain(url: str) -> AsyncIterator[Hand]:
    async with aiosqlite.connect(url.removeprefix("sqlite:///")) as connection:
        yield Hand(connection, connection.execute)


POSTGRES: dict[str, Callable[[str], Any]] = {
    "psycopg": psycopg_sync,
    "psycopg, awaited emit": psycopg_sync_awaited,
    "psycopg autocommit": psycopg_autocommit,
    "psycopg async": psycopg_async,
    "asyncpg": asyncpg_plain,
    "asyncpg pool": asyncpg_pool,
    "Session psycopg": session_on("postgresql+psycopg"),
    "scoped_session psycopg": scoped_on("postgresql+psycopg"),
    "Connection psycopg": connection_on("postgresql+psycopg"),
    "AsyncSession psycopg": async_session_on("postgresql+psycopg"),
    "AsyncSession asyncpg": async_session_on("postgresql+asyncpg"),
    "AsyncConnection asyncpg": async_connection_on("postgresql+asyncpg"),
}
SQLITE: dict[str, Callable[[str], Any]] = {
    "sqlite3": sqlite_plain,
    "sqlite3 explicit": sqlite_explicit,
    "aiosqlite": aiosqlite_plain,
    "Session pysqlite": session_on("sqlite+pysqlite"),
    "Connection pysqlite": connection_on("sqlite+pysqlite"),
    "AsyncSession aiosqlite": async_session_on("sqlite+aiosqlite"),
    "AsyncConnection aiosqlite": async_connection_on("sqlite+aiosqlite"),
}
