"""Whose turn it is to write a SQLite file, and the commit that those who queue for it share.

One writer at a time, in this process and among processes. A round that ends while others of this process wait does not
commit: the next one goes on in the same transaction, behind a savepoint, and the last one commits for all. Each is told
only when its rows are durable. With nobody waiting, a round commits at once; one that wrote much first lets run what
the event loop has ready, because where much is done, the next who would write is most often there.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from minuet.databases.sqlite.neighbours import WriteLock
from minuet.errors import CommitRefused, TransactionLost

BUSY_MILLISECONDS = 60_000
"""How long to wait for a foreign connection that holds SQLite's own write lock."""
MOST_ROUNDS = 16
"""How many rounds share a commit."""
MUCH = 100
"""How many rows a round changes that does not commit before others had their chance to join it."""
LONGEST_SECONDS = 0.005
"""After how long a shared transaction takes no further round; other processes wait meanwhile."""
# Not as a reaction would write them: SQLite asks for permission when it first sees a statement, and these are ours.
COMMIT = "COMMIT -- the round"
ROLLBACK = "ROLLBACK -- the round"
MARK = "SAVEPOINT minuet_round -- the round"
RELEASE = "RELEASE minuet_round -- the round"
UNDO = "ROLLBACK TO minuet_round -- the round"

SPOILED = "A statement of another reaction took back the transaction that was shared with it. Do it again."

Callback = Callable[[], None]


class SharedTransaction:
    """The rounds of one transaction that is open now."""

    __slots__ = ("began", "callbacks", "changes", "durable", "rounds")

    def __init__(self, began: float, changes: int) -> None:
        self.began = began
        self.changes = changes
        """How many rows the connection had changed when the last round in it began."""
        self.rounds = 0
        """How many rounds have ended well in it."""
        self.callbacks: list[Callback] = []
        self.durable: asyncio.Future[None] | None = None
        """Done when it is committed; there is one as soon as a round waits for that."""


class WriteQueue:
    """The right to write one database, as this process's tasks queue for it.

    `lock` is the right among processes, None for a database that no other process can see.
    """

    def __init__(self, connection: sqlite3.Connection, lock: WriteLock | None) -> None:
        self.connection = connection
        self._lock = lock
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._shared: SharedTransaction | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="minuet-sqlite")

    def __repr__(self) -> str:
        return f"<WriteQueue, {self._waiting} waiting, {'open' if self._shared else 'idle'}>"

    async def close(self) -> None:
        """Wait for the last round, and let nobody write any more."""
        await self._turn.acquire()
        if self._shared is not None:
            self._commit_for_others(self._shared)
        self._thread.shutdown(wait=False)

    async def quietly(self, look: Callable[[], list[tuple[object, ...]]]) -> list[tuple[object, ...]]:
        """Look at the database between two transactions, on the connection that writes it."""
        async with self._turn:
            if self._shared is not None:
                self._commit_for_others(self._shared)
            return look()

    async def acquire(self, *, alone: bool = False) -> None:
        """Get the database for a round. `alone`: in a transaction of its own, because the round may take long."""
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            if self._shared is not None and alone:
                self._commit_for_others(self._shared)
            if self._shared is None:
                await self._begin()
                self._shared = SharedTransaction(asyncio.get_running_loop().time(), self.connection.total_changes)
            elif self._shared.rounds:
                self.connection.execute(MARK)
                self._shared.changes = self.connection.total_changes
        except BaseException:
            self._turn.release()
            raise

    async def release(self, *, commit: bool, callbacks: Sequence[Callback] = (), alone: bool = False) -> None:
        """End a round. With `commit`, return when its rows are durable and its callbacks were called; without, its rows
        are gone.
        """
        shared = self._shared
        assert shared is not None
        try:
            if not commit:
                self._take_back(shared)
            elif shared.rounds:
                self.connection.execute(RELEASE)
        except sqlite3.Error as error:
            # The transaction itself is gone (the disk is full, say), and with it the rounds before this one.
            self._fail(shared, error if self.connection.in_transaction else TransactionLost(SPOILED))
            self._turn.release()
            if commit:
                raise
            return
        if commit:
            shared.rounds += 1
            shared.callbacks += callbacks
        if self._shared is None or not self._goes_on(shared, alone=alone):
            try:
                if self._shared is not None:
                    self._commit(shared)
            finally:
                self._turn.release()
            return
        durable = shared.durable = shared.durable or asyncio.get_running_loop().create_future()
        self._turn.release()
        asyncio.get_running_loop().call_soon(self._commit_if_left, shared)
        if commit:
            await asyncio.shield(durable)

    def _goes_on(self, shared: SharedTransaction, *, alone: bool) -> bool:
        """Whether others may go on in this transaction."""
        if alone or shared.rounds >= MOST_ROUNDS:
            return False
        if not self._waiting and self.connection.total_changes - shared.changes < MUCH:
            return False
        return asyncio.get_running_loop().time() - shared.began < LONGEST_SECONDS

    def _commit_if_left(self, shared: SharedTransaction) -> None:
        """Whoever was to go on did not come."""
        if self._shared is shared and not self._turn.locked():
            self._commit_for_others(shared)

    def _commit_for_others(self, shared: SharedTransaction) -> None:
        """Commit rounds of which none is the caller's: an error is theirs, and they are told by what they wait for."""
        with contextlib.suppress(sqlite3.Error, CommitRefused):
            self._commit(shared)

    def _commit(self, shared: SharedTransaction) -> None:
        try:
            self.connection.execute(COMMIT)
        except sqlite3.IntegrityError as error:
            refused = CommitRefused(f"The commit was refused: {error}.")
            self._fail(shared, refused)
            raise refused from error
        except sqlite3.Error as error:
            self._fail(shared, error)
            raise
        self._end()
        for callback in shared.callbacks:
            callback()
        if shared.durable is not None and not shared.durable.done():
            shared.durable.set_result(None)

    def _take_back(self, shared: SharedTransaction) -> None:
        if shared.rounds:
            self.connection.execute(UNDO)
            self.connection.execute(RELEASE)
        else:
            self._roll_back()
            self._end()

    def _fail(self, shared: SharedTransaction, error: Exception) -> None:
        self._roll_back()
        self._end()
        if shared.durable is not None and not shared.durable.done():
            shared.durable.set_exception(error)
            shared.durable.exception()  # it may be that nobody waits any more

    def _end(self) -> None:
        self._shared = None
        if self._lock is not None:
            self._lock.release()

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute(ROLLBACK)

    # -- beginning

    async def _begin(self) -> None:
        if self._lock is not None and not self._lock.try_acquire():
            await self.in_thread(self._lock.acquire, self._lock.release)
        try:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise
                await self.in_thread(self._begin_patiently, self._roll_back)
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise

    def _begin_patiently(self) -> None:
        """Somebody who does not know our lock writes: wait as SQLite waits. Blocks the thread."""
        self.connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}").fetchall()
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        finally:
            self.connection.execute("PRAGMA busy_timeout=0").fetchall()

    async def in_thread(self, job: Callable[[], None], undo: Callable[[], None]) -> None:
        """Wait for a blocking job. Whoever waits may be cancelled; the job is then finished and undone first."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, job)
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


class Writing:
    """A round as a context that yields the connection: durable when its block ends, taken back when it raises."""

    def __init__(self, queue: WriteQueue) -> None:
        self._queue = queue

    async def __aenter__(self) -> sqlite3.Connection:
        await self._queue.acquire()
        return self._queue.connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._queue.release(commit=error is None)


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
