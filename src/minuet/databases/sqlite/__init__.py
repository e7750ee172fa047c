"""One SQLite file as this process has it open: a connection that writes, one that reads, and its neighbours.

SQLite lets one process write at a time. Its own way to wait for that is to sleep and try again, which is unfair and
slow to notice; here tasks and processes queue (`writing.py`, `neighbours.py`). See decision 5.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from minuet.databases.listeners import Listeners
from minuet.databases.migrations import Step, due
from minuet.databases.sqlite.neighbours import Neighbours, WriteLock
from minuet.databases.sqlite.writing import WriteQueue, Writing
from minuet.errors import StartupError, StoreUnavailable
from minuet.ports.address import without_secrets
from minuet.ports.transaction import not_yours

Row = tuple[object, ...]

SWEEP_SECONDS = 0.05
"""How often a sleeping process looks whether somebody without a bell, a user's own connection, has committed."""
RECOVERY_MILLISECONDS = 1000
"""How long a reader waits while another process puts the index of the write-ahead log in order after a crash."""


class SqlitePlace(msgspec.Struct, frozen=True):
    """Where a database lies and how it commits."""

    path: str
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    """FULL: a commit survives a power cut. NORMAL: it survives the end of the process, and a power cut may take the
    last commits."""

    @classmethod
    def from_url(cls, url: str) -> SqlitePlace:
        """Read `sqlite:///relative.db`, `sqlite:////absolute.db`, perhaps with `?synchronous=NORMAL`."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        synchronous = options.pop("synchronous", "FULL").upper()
        path = unquote(parts.path).removeprefix("/")
        if path == ":memory:":
            raise StartupError(
                f"{without_secrets(url)} would be a file of that name. Write memory:// for what is gone with the "
                "process, sqlite:///shop.db for a file."
            )
        if parts.netloc or not path or options or synchronous not in ("FULL", "NORMAL"):
            raise StartupError(
                f"{without_secrets(url)} does not name a SQLite file, or not with its options. Write sqlite:///shop.db "
                "for one in the working directory or sqlite:////var/lib/shop.db for an absolute path; the one option "
                "is ?synchronous=FULL or NORMAL."
            )
        return cls(path, "FULL" if synchronous == "FULL" else "NORMAL")


class Guard:
    """Whether a reaction has the connection now, and what reactions have done with it."""

    reacting = False
    savepoints = False
    """Whether a reaction ever used savepoints of its own, which could reach back into the turn before it."""


class GuardedConnection(sqlite3.Connection):
    """A connection as a reaction may take it: its transaction is not the reaction's to end.

    While one is reacting, SQL that would end the transaction or touch its savepoints is refused too; savepoints under
    other names are the reaction's to use.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.guard = Guard()
        self.set_authorizer(self._authorize)

    def _authorize(self, action: int, *details: str | None) -> int:
        # Asked once for each statement that SQLite does not know yet.
        touches = action == sqlite3.SQLITE_SAVEPOINT and str(details[1]).lower() in SAVEPOINTS
        if action == sqlite3.SQLITE_SAVEPOINT and self.guard.reacting:
            self.guard.savepoints = True
        ends = action == sqlite3.SQLITE_TRANSACTION or touches
        meddles = action in CHANGES and str(details[0]).startswith("minuet_")
        return sqlite3.SQLITE_DENY if (ends or meddles) and self.guard.reacting else sqlite3.SQLITE_OK

    def commit(self) -> None:
        raise not_yours("commit()")

    def rollback(self) -> None:
        raise not_yours("rollback()")

    def close(self) -> None:
        if self.guard.reacting:
            raise not_yours("close()")
        super().close()

    def __setattr__(self, name: str, value: object) -> None:
        if name in HOW_ROWS_ARE_READ:
            raise StoreUnavailable(
                f"{name} was set on the connection of a reaction, which others read their rows on too. Set it on a "
                "cursor of your own: cursor = connection.cursor(); cursor.row_factory = ..."
            )
        super().__setattr__(name, value)

    def set_progress_handler(self, *_: object, **__: object) -> None:
        raise not_yours("set_progress_handler()")

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:  # noqa: ARG002  # refused unseen
        raise not_yours("executescript(), which commits first,")

    def __enter__(self) -> Self:
        raise not_yours("`with connection:`, which commits,")


CHANGES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_DROP_TABLE)
HOW_ROWS_ARE_READ = ("isolation_level", "row_factory", "text_factory")
SAVEPOINTS = ("minuet_turn", "minuet_round")
"""Whose names are taken: that of a delivery's turn, and that of a lane's round."""


class Database:
    """One SQLite database, opened by one process and used from one event loop.

    `path` is a file, or None for a private database in memory, which has no neighbours and no second connection.
    """

    def __init__(self, path: str | None, *, synchronous: str = "FULL") -> None:
        self.path = os.path.realpath(path) if path is not None else None
        self._synchronous = synchronous
        self._opened = 0
        self._lock: WriteLock | None = None
        self._neighbours: Neighbours | None = None
        self.listeners = Listeners()
        """Those in this process who look again when another may have committed."""
        self._sweep: asyncio.TimerHandle | None = None
        self._version = -1

    def __repr__(self) -> str:
        return f"<Database {self.path or 'in memory'}, {'open' if self._opened else 'closed'}>"

    async def open(self) -> None:
        """Open the file, creating it when it is missing. Broker and store may each open; the last to close closes."""
        self._opened += 1
        if self._opened > 1:
            return
        try:
            await self._connect_both()
        except (sqlite3.Error, OSError) as error:
            self._opened = 0
            raise self._unusable(error) from error
        if self.path is not None:
            self._neighbours = Neighbours(Path(f"{self.path}-minuet"))
            loop = asyncio.get_running_loop()
            loop.add_reader(self._neighbours.bell, self._rung)
            self._look_again(loop)

    async def prepare(self, part: str, steps: Sequence[Step], *, create: bool = True) -> None:
        """Bring a part of the schema up to date. Raises StoreUnavailable, closed again, if that cannot be."""
        shown = self.path or "memory"
        try:
            there = bool(await self.read(_HAS_VERSIONS))
            # Files that were written before versions were have the first one, and are brought up to date by it too.
            found = _version(self.reader, part) if there else int(not create)
            if not due(part, shown, found, steps, create=create):
                return
            async with self.writing() as connection:
                connection.execute(_VERSIONS)
                for version, step in due(part, shown, _version(connection, part), steps, create=create):
                    for statement in step:
                        connection.execute(statement)
                    connection.execute("INSERT INTO minuet_migrations (part, version) VALUES (?, ?)", (part, version))
        except sqlite3.Error as error:
            await self.close()
            raise self._unusable(error) from error
        except StoreUnavailable:
            await self.close()
            raise

    def _unusable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(
            f"SQLite could not open {self.path or 'a database in memory'}: {error}. Check that the folder exists, that "
            "this user may write the file and its folder, and that the file is a SQLite database on a local disk."
        )

    async def _connect_both(self) -> None:
        if self.path is None:
            self.reader = self._connect(0)
            self.queue = WriteQueue(self.reader, None)
            return
        if not os.path.isdir(os.path.dirname(self.path)):  # noqa: ASYNC240  # once, at the start
            raise FileNotFoundError(f"no folder {os.path.dirname(self.path)}")
        if os.path.isdir(self.path):  # noqa: ASYNC240  # once, at the start
            raise IsADirectoryError("it is a directory; name a file in it")
        folder = Path(f"{self.path}-minuet")
        if not folder.exists() and os.path.exists(self.path):  # noqa: ASYNC240  # once, at the start
            self._refuse_other_files()
        folder.mkdir(mode=0o700, exist_ok=True)  # noqa: ASYNC240  # once, at the start
        self._lock = WriteLock(folder)
        # One at a time: two who turn a new file to WAL at once are told by SQLite that it is locked, without a wait.
        await asyncio.to_thread(self._lock.acquire)
        try:
            self.queue = WriteQueue(self._connect(0), self._lock)
            self.reader = self._connect(RECOVERY_MILLISECONDS)
        finally:
            self._lock.release()

    def _refuse_other_files(self) -> None:
        """Raise sqlite3.DatabaseError for a file that is no database, before anything is put beside it."""
        # By SQLite: whoever else opens and closes a file takes away the locks that this process has on it.
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(self.path))}?mode=rw", uri=True)) as connection:
            connection.execute("PRAGMA schema_version").fetchall()

    def _connect(self, busy_milliseconds: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path or ":memory:",
            timeout=30,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            factory=GuardedConnection,
        )
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={self._synchronous}",
            "wal_autocheckpoint=4000",
            "cache_size=-8192",  # small: a commit that split a page looks at every page that is cached
            "temp_store=MEMORY",
            "secure_delete=OFF",  # as SQLite comes; some distributions build it to write zeros over all that is deleted
            "schema_version",  # reads the file, while waiting is still allowed
            f"busy_timeout={busy_milliseconds}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    async def close(self) -> None:
        self._opened -= 1
        if self._opened:
            return
        self.listeners.clear()
        await self.queue.close()
        if self._sweep is not None:
            self._sweep.cancel()
        if self._neighbours is not None:
            asyncio.get_running_loop().remove_reader(self._neighbours.bell)
            self._neighbours.close()
        self.reader.close()
        self.queue.connection.close()
        if self._lock is not None:
            self._lock.close()

    # -- neighbours

    @property
    def member(self) -> str:
        """This process's name among those that have the file open."""
        return self._neighbours.name if self._neighbours is not None else "memory"

    def alive(self, member: str) -> bool:
        """Whether the process of this name lives and has the file open."""
        return self._neighbours.alive(member) if self._neighbours is not None else member == "memory"

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call this whenever another process may have committed. Returns how to end that."""
        return self.listeners.add(wake)

    def wake_neighbours(self) -> None:
        """Let those who listen look: other processes, or, where there are none, whoever shares this database."""
        if self._neighbours is not None:
            self._neighbours.wake()
        else:
            self.listeners.tell()

    def _rung(self) -> None:
        assert self._neighbours is not None
        with contextlib.suppress(BlockingIOError):
            os.read(self._neighbours.bell, 4096)
        self.listeners.tell()

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            [(version,)] = self.reader.execute("PRAGMA data_version").fetchall()
        except sqlite3.Error:
            version = -1  # those who are told will look, and meet what is wrong where it is reported
        if version != self._version or version == -1:
            self._version = version
            self.listeners.tell()
        self._sweep = loop.call_later(SWEEP_SECONDS, self._look_again, loop)

    # -- reading and writing

    async def read(self, sql: str, params: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """Run a query on what is committed."""
        if self.path is None:
            return await self.queue.quietly(lambda: self.reader.execute(sql, params).fetchall())
        return self.reader.execute(sql, params).fetchall()

    def foreign_version(self) -> int:
        """A number that changes when anybody but this process's own writer has committed."""
        [(version,)] = self.queue.connection.execute("PRAGMA data_version").fetchall()
        return int(version)

    def writing(self) -> Writing:
        """A write transaction as a context; it yields the connection."""
        return Writing(self.queue)


_HAS_VERSIONS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'minuet_migrations'"
_VERSIONS = """
    CREATE TABLE IF NOT EXISTS minuet_migrations (
        part TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (part, version)
    ) WITHOUT ROWID"""


def _version(connection: sqlite3.Connection, part: str) -> int:
    """Which version of a part of the schema there is; 0 for none."""
    sql = "SELECT coalesce(max(version), 0) FROM minuet_migrations WHERE part = ?"
    return int(connection.execute(sql, (part,)).fetchone()[0])
