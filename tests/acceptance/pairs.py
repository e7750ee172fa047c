"""The pairs of broker and store that the suites run on, and when there is nothing left to do on them."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from minuet import App
from minuet.brokers.memory import MemoryBroker
from minuet.brokers.sqlite import SqliteBroker
from minuet.ports.broker import Broker
from minuet.ports.store import Store
from minuet.stores.sqlite import MemoryStore, SqliteStore

JOINED, SEPARATE = "joined", "separate"
"""One SQLite file for both; or the broker in one file and the store in another, with inbox, outbox and relay."""

UNREAD = """
    SELECT count(*) FROM minuet_positions p
    WHERE EXISTS (SELECT 1 FROM minuet_log l WHERE l.seq > p.position
                  AND l.topic IN (SELECT value FROM json_each(p.topics)))
"""
PARKED = """
    SELECT count(*) FROM minuet_parked
    WHERE settled_at IS NULL AND state <> 'held' AND consumer <> 'processes'
"""


class Pair(NamedTuple):
    """Where broker and store of a test lie."""

    broker: Path
    store: Path

    def adapters(self) -> tuple[SqliteBroker, SqliteStore]:
        """Fresh adapters, as each process opens its own."""
        return SqliteBroker(str(self.broker)), SqliteStore(str(self.store))

    def urls(self) -> dict[str, str]:
        """The keywords of `App`."""
        return {"broker": f"sqlite:///{self.broker}", "store": f"sqlite:///{self.store}"}

    def look(self, sql: str, *parameters: object) -> list[tuple[object, ...]]:
        """Rows of the store's file, as somebody from outside sees them."""
        return look(self.store, sql, *parameters)

    def logged(self, topic: str) -> list[tuple[object, ...]]:
        """The keys of a topic's events in the order of the log."""
        return look(self.broker, "SELECT key FROM minuet_log WHERE topic = ? ORDER BY seq", topic)

    def logged_ids(self, topic: str) -> list[object]:
        """The ids of a topic's events in the order of the log."""
        return [row[0] for row in look(self.broker, "SELECT id FROM minuet_log WHERE topic = ? ORDER BY seq", topic)]

    def unfinished(self) -> dict[str, int]:
        """What is left to do: how much of the log is unread, claimed, parked or owed. Empty when all is done.

        Work moves from place to place, and between files, so a look during which anything was committed is no look.
        """
        with closing(sqlite3.connect(self.broker)) as broker, closing(sqlite3.connect(self.store)) as store:
            before = [one.execute("PRAGMA data_version").fetchone() for one in (broker, store)]
            left = {
                "unread": broker.execute(UNREAD),
                "claimed": broker.execute("SELECT count(*) FROM minuet_claims"),
                "parked": store.execute(PARKED),
                "owed": store.execute("SELECT count(*) FROM minuet_outbox"),
            }
            found = {name: cursor.fetchone()[0] for name, cursor in left.items()}
            after = [one.execute("PRAGMA data_version").fetchone() for one in (broker, store)]
        found["moving"] = int(before != after)
        return {name: count for name, count in found.items() if count}

    async def worked_off(self, app: App) -> None:
        """Wait, in a running app that was given adapters, until nothing is left to do."""
        assert isinstance(app.broker, SqliteBroker)
        assert isinstance(app.store, SqliteStore)
        await committed_until(lambda: not self.unfinished(), app.broker, app.store)

    def keep(self) -> None:
        """What is on disk is kept."""

    def copied(self, directory: Path) -> "Pair":
        """A pair in this directory that begins as this one stands; nobody may have it open."""
        shutil.copytree(self.broker.parent, directory, dirs_exist_ok=True)
        return Pair(directory / self.broker.name, directory / self.store.name)

    def dropped(self) -> None:
        """The files go with their directory."""


def pair(kind: str, directory: Path) -> Pair:
    """The pair of this kind in a directory."""
    if kind == JOINED:
        return Pair(directory / "all.db", directory / "all.db")
    return Pair(directory / "broker.db", directory / "store.db")


def look(file: Path, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    """Rows of a SQLite file, read by a connection of its own."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        return connection.execute(sql, parameters).fetchall()


async def committed_until(done: Callable[[], bool], *adapters: SqliteBroker | SqliteStore) -> None:
    """Look again after every commit to the files of these open adapters, until it is done."""
    changed = asyncio.Event()
    for adapter in adapters:
        adapter.database.listen(changed.set)
    async with asyncio.timeout(30):
        while not done():
            changed.clear()
            await changed.wait()


MEMORY = "memory"
"""Broker and store in this process: inbox, outbox and relay, and nothing on disk."""
KINDS = (MEMORY, JOINED, SEPARATE)


def adapters(kind: str, directory: Path) -> tuple[Broker, Store]:
    """A broker and a store of this kind, to be given to an App."""
    if kind == MEMORY:
        return MemoryBroker(), MemoryStore.from_url("memory://")
    return pair(kind, directory).adapters()


async def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    """What a query on the open store finds, seen through its port."""
    async with store.transaction() as unit:
        connection = unit.native
        assert isinstance(connection, sqlite3.Connection)
        return connection.execute(sql).fetchall()
