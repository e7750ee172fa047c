"""The pairs of broker and store on a real PostgreSQL: databases of the tests' own."""

import asyncio
import os
import uuid
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg

from minuet import App
from minuet.brokers.postgres import PostgresBroker
from minuet.stores.postgres import PostgresStore
from tests.acceptance.pairs import PARKED
from tests.contract.servers import url_of

POSTGRES, POSTGRES_SEPARATE = "postgres", "postgres_separate"
"""One PostgreSQL database for both; or one for each, with inbox, outbox and relay."""

UNREAD = """
    SELECT count(*) FROM minuet_positions p
    WHERE EXISTS (SELECT 1 FROM minuet_log l WHERE (l.xid, l.seq) > (p.xid, p.seq) AND l.topic = ANY(p.topics))
"""
NUMBERED = {"minuet_log": "seq", "minuet_outbox": "id", "minuet_parked": "id", "minuet_dead_letters": "id"}
AFTER_LAST = "SELECT setval(pg_get_serial_sequence('{0}', '{1}'), max({1})) FROM {0} HAVING max({1}) IS NOT NULL; "
LEFT = {
    "claimed": "SELECT count(*) FROM minuet_claims",
    "parked": PARKED,
    "owed": "SELECT count(*) FROM minuet_outbox",
}


class PostgresPair(NamedTuple):
    """The URLs of a test's broker and store."""

    broker: str
    store: str

    def adapters(self) -> tuple[PostgresBroker, PostgresStore]:
        """Fresh adapters, as each process opens its own."""
        return PostgresBroker.from_url(self.broker), PostgresStore.from_url(self.store)

    def urls(self) -> dict[str, str]:
        """The keywords of `App`."""
        return self._asdict()

    def look(self, sql: str, *parameters: object) -> list[tuple[object, ...]]:
        """Rows of the store's database, as somebody from outside sees them."""
        return look(self.store, sql, *parameters)

    def logged(self, topic: str) -> list[tuple[object, ...]]:
        """The keys of a topic's events in the order of the log."""
        return look(self.broker, "SELECT key FROM minuet_log WHERE topic = ? ORDER BY xid, seq", topic)

    def logged_ids(self, topic: str) -> list[object]:
        """The ids of a topic's events in the order of the log."""
        found = look(self.broker, "SELECT id FROM minuet_log WHERE topic = ? ORDER BY xid, seq", topic)
        return [row[0] for row in found]

    def unfinished(self) -> dict[str, int]:
        """What is left to do: how much of the log is unread, claimed, parked or owed. Empty when all is done."""
        found = {"unread": look(self.broker, UNREAD), "claimed": look(self.broker, LEFT["claimed"])}
        found |= {name: look(self.store, LEFT[name]) for name in ("parked", "owed")}
        return {name: int(str(count)) for name, [(count,)] in found.items() if count}

    async def worked_off(self, app: App) -> None:
        """Wait, in a running app, until nothing is left to do."""
        async with asyncio.timeout(60):
            await app.settled()

    def keep(self) -> None:
        """Remember the rows as they are, for `copied`."""
        for url in {self.broker, self.store}:
            tables = [f"CREATE TABLE kept.{table} AS TABLE public.{table}" for table in tables_of(url, "public")]
            command(url, "CREATE SCHEMA kept", *tables)

    def copied(self, directory: Path) -> "PostgresPair":  # nothing of it lies in a directory
        """The same databases, with the rows that were kept and no others; nobody may be connected to them."""
        for url in {self.broker, self.store}:
            kept = tables_of(url, "kept")
            command(
                url,
                f"BEGIN; TRUNCATE {', '.join(tables_of(url, 'public'))} RESTART IDENTITY; "
                + "".join(f"INSERT INTO {t} OVERRIDING SYSTEM VALUE TABLE kept.{t}; " for t in kept)
                + "".join(AFTER_LAST.format(t, c) for t, c in NUMBERED.items() if t in kept)
                + "COMMIT",
            )
        return self

    def emptied(self) -> None:
        """The same databases, with their tables and no rows; quicker than new ones."""
        for url in {self.broker, self.store}:
            if tables := tables_of(url, "public"):
                command(url, "".join(f"DELETE FROM {table}; " for table in tables))

    def dropped(self) -> None:
        """Let the server forget both databases."""
        for url in {self.broker, self.store}:
            command(beside(url), f"DROP DATABASE {database_of(url)} WITH (FORCE)")


def postgres_pair(kind: str, server: str | None = None) -> PostgresPair:
    """A new pair of this kind, on the server of the tests or another."""
    server = server or url_of("postgres") or ""
    broker = create(server)
    return PostgresPair(broker, broker if kind == POSTGRES else create(server))


def create(server: str) -> str:
    """Make a database of a new name on the server of this URL; its URL."""
    name = f"minuet_test_{os.getpid()}_{uuid.uuid4().hex[:12]}"
    command(beside(server), f"CREATE DATABASE {name}")
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def beside(url: str) -> str:
    """A database of the same server that nobody drops."""
    return urlsplit(url)._replace(path="/postgres").geturl()


def database_of(url: str) -> str:
    """The name of a URL's database."""
    return urlsplit(url).path.removeprefix("/")


def tables_of(url: str, schema: str) -> list[str]:
    """The tables of a schema."""
    return [str(name) for (name,) in look(url, "SELECT tablename FROM pg_tables WHERE schemaname = ?", schema)]


def look(url: str, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    """Rows of a database, read by a connection of its own; the placeholder is `?`."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql.replace("?", "%s").encode(), parameters).fetchall()


def command(url: str, *statements: str) -> None:
    """Perform statements on a connection of one's own, each by itself."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
