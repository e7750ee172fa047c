"""One SQLite file as this process has it open: its writer, its reader, its lock, its neighbours.

SQLite lets one process write at a time. Its own way to wait for that is to sleep and try again, which is unfair and
slow to notice; here processes queue on two file locks, a turnstile and the write lock, so that the kernel hands the
file over at once and whoever waits gets its turn. See decision 5.

Beside the file stands a folder, `<file>-minuet`, with those locks and one named pipe a process. A byte in a pipe
wakes its process; a pipe that nobody reads belonged to a process that is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from minuet.databases.neighbours import Neighbours, WriteLock
from minuet.errors import StartupError, StoreUnavailable

Row = tuple[object, ...]

SWEEP_SECONDS = 0.05
"""How often a sleeping process looks whether somebody without a bell, a user's own connection, has committed."""
BUSY_MILLISECONDS = 60_000
"""How long to wait for a foreign connection that holds SQLite's own write lock."""


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
        if parts.netloc or not path or options or synchronous not in ("FULL", "NORMAL"):
            raise StartupError(
                f"{url!r} does not name a SQLite file. Write sqlite:///shop.db for one in the working directory or "
                "sqlite:////var/lib/shop.db for an absolute path; the one option is ?synchronous=FULL or NORMAL."
            )
        return cls(path, "FULL" if synchronous == "FULL" else "NORMAL")


class GuardedConnection(sqlite3.Connection):
    """A connection as a reaction may take it: its transaction is not the reaction's to end."""

    def commit(self) -> None:
        raise StoreUnavailable(NOT_YOURS.format("commit()"))

    def rollback(self) -> None:
        raise StoreUnavailable(NOT_YOURS.format("rollback()"))

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:  # noqa: ARG002  # refused unseen
        raise StoreUnavailable(NOT_YOURS.format("executescript(), which commits first,"))

    def __enter__(self) -> Self:
        raise StoreUnavailable(NOT_YOURS.format("`with connection:`, which commits,"))


NOT_YOURS = (
    "{} was called on the connection of a reaction, whose transaction it shares with its inbox and its events. "
    "Return to commit it, raise to roll it back."
)


class Database:
    """One SQLite database, opened by one process and used from one event loop.

    `path` is a file, or None for a private database in memory, which has no neighbours and no second connection.
    """

    def __init__(self, path: str | None, *, synchronous: str = "FULL") -> None:
        self.path = os.path.realpath(path) if path is not None else None
        self._synchronous = synchronous
        self._opened = 0
        self._turn = asyncio.Lock()
        self._lock: WriteLock | None = None
        self._neighbours: Neighbours | None = None
        self._listeners: list[Callable[[], None]] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._version = -1

    def __repr__(self) -> str:
        return f"<Database {self.path or 'in memory'}, {'open' if self._opened else 'closed'}>"

    async def open(self) -> None:
        """Open the file, creating it when it is missing. Broker and store may each open; the last to close closes."""
        self._opened += 1
        if self._opened > 1:
            return
        self._waiter = ThreadPoolExecutor(1, thread_name_prefix="minuet-sqlite")
        try:
            await self._connect_both()
        except (sqlite3.Error, OSError) as error:
            self._opened = 0
            raise StoreUnavailable(
                f"SQLite could not open {self.path}: {error}. Check that the folder exists, that this user may "
                "write there, and that the file is a SQLite database on a local disk."
            ) from error
        if self.path is not None:
            self._neighbours = Neighbours(Path(f"{self.path}-minuet"))
            loop = asyncio.get_running_loop()
            loop.add_reader(self._neighbours.bell, self._rung)
            self._look_again(loop)

    async def _connect_both(self) -> None:
        if self.path is None:
            self.writer = self.reader = self._connect()
            return
        if not os.path.isdir(os.path.dirname(self.path)):  # noqa: ASYNC240  # once, at the start
            raise FileNotFoundError(f"no folder {os.path.dirname(self.path)}")
        folder = Path(f"{self.path}-minuet")
        folder.mkdir(mode=0o700, exist_ok=True)  # noqa: ASYNC240  # once, at the start
        self._lock = WriteLock(folder)
        # One at a time: two who turn a new file to WAL at once are told by SQLite that it is locked, without a wait.
        await self._in_thread(self._lock.acquire, self._lock.release)
        try:
            self.writer = self._connect()
            self.reader = self._connect()
        finally:
            self._lock.release()

    def _connect(self) -> sqlite3.Connection:
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
            "cache_size=-65536",
            "temp_store=MEMORY",
            "busy_timeout=0",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    async def close(self) -> None:
        """Closing more often than opening is harmless; a database that was closed may be opened again."""
        if not self._opened:
            return
        self._opened -= 1
        if self._opened:
            return
        async with self._turn:
            if self._sweep is not None:
                self._sweep.cancel()
            if self._neighbours is not None:
                asyncio.get_running_loop().remove_reader(self._neighbours.bell)
                self._neighbours.close()
                self._neighbours = None
            if self.reader is not self.writer:
                self.reader.close()
            self.writer.close()
            if self._lock is not None:
                self._lock.close()
                self._lock = None
            self._waiter.shutdown(wait=False)

    # -- neighbours

    @property
    def member(self) -> str:
        """This process's name among those that have the file open."""
        return self._neighbours.name if self._neighbours is not None else "memory"

    def alive(self, member: str) -> bool:
        """Whether the process of this name lives and has the file open."""
        return self._neighbours.alive(member) if self._neighbours is not None else member == "memory"

    def listen(self, wake: Callable[[], None]) -> None:
        """Call this whenever another process may have committed."""
        self._listeners.append(wake)

    def wake_neighbours(self) -> None:
        """Let those who listen look: other processes, or, where there are none, whoever shares this database."""
        if self._neighbours is not None:
            self._neighbours.wake()
        else:
            self._tell()

    def _rung(self) -> None:
        assert self._neighbours is not None
        with contextlib.suppress(BlockingIOError):
            os.read(self._neighbours.bell, 4096)
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        [(version,)] = self.reader.execute("PRAGMA data_version").fetchall()
        if version != self._version:
            self._version = version
            self._tell()
        self._sweep = loop.call_later(SWEEP_SECONDS, self._look_again, loop)

    # -- reading and writing

    async def read(self, sql: str, params: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """Run a query on what is committed."""
        if self.reader is self.writer:
            async with self._turn:
                return self.reader.execute(sql, params).fetchall()
        return self.reader.execute(sql, params).fetchall()

    def writing(self) -> Writing:
        """A write transaction as a context; it yields the connection."""
        return Writing(self)

    async def acquire(self) -> None:
        """Get the file for writing: in this process, among processes, and in SQLite itself."""
        await self._turn.acquire()
        try:
            if self._lock is not None and not self._lock.try_acquire():
                await self._in_thread(self._lock.acquire, self._lock.release)
            try:
                await self._begin()
            except BaseException:
                if self._lock is not None:
                    self._lock.release()
                raise
        except BaseException:
            self._turn.release()
            raise

    async def _begin(self) -> None:
        try:
            self.writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            await self._in_thread(self._begin_patiently, self._roll_back)

    def _begin_patiently(self) -> None:
        """Somebody who does not know our lock writes: wait as SQLite waits. Blocks the thread."""
        self.writer.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}").fetchall()
        try:
            self.writer.execute("BEGIN IMMEDIATE")
        finally:
            self.writer.execute("PRAGMA busy_timeout=0").fetchall()

    def _roll_back(self) -> None:
        if self.writer.in_transaction:
            self.writer.execute("ROLLBACK")

    async def _in_thread(self, job: Callable[[], None], undo: Callable[[], None]) -> None:
        """Wait for a blocking job. Whoever waits may be cancelled; the job is then finished and undone first."""
        future = asyncio.get_running_loop().run_in_executor(self._waiter, job)
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.shield(future)
            except asyncio.CancelledError as error:
                cancelled = error
            except Exception:  # noqa: BLE001  # told below, by its result
                break
        future.result()
        if cancelled is not None:
            undo()
            raise cancelled

    def release(self, *, commit: bool) -> None:
        """End the transaction and hand the file on."""
        try:
            if commit:
                self.writer.execute("COMMIT")
            else:
                self._roll_back()
        except BaseException:
            self._roll_back()
            raise
        finally:
            if self._lock is not None:
                self._lock.release()
            self._turn.release()


class Writing:
    """A write transaction: commits when its block ends, rolls back when it raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> sqlite3.Connection:
        await self._database.acquire()
        return self._database.writer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.release(commit=error is None)


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
