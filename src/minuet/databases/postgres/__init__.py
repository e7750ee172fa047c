"""One PostgreSQL database as this process uses it: connections for transactions, and one that listens.

The one that listens holds a session's advisory lock in this process's name. The server lets go of it when the process
dies, so that others know without a clock; `witness.py` says when that proves it. See decision 13.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from minuet.databases.listeners import Listeners
from minuet.databases.migrations import Step, due
from minuet.databases.postgres.guarded import GuardedConnection
from minuet.databases.postgres.horizon import Horizon
from minuet.databases.postgres.pipelining import Line, Row, Statement
from minuet.databases.postgres.place import PostgresPlace, limits
from minuet.databases.postgres.pooling import refuse_shared_sessions
from minuet.databases.postgres.refusals import lost, not_let_in, not_let_work, silent, too_old
from minuet.databases.postgres.witness import MEMBERS, Witness
from minuet.errors import CommitRefused, ConnectionLost, NeverUsed, StoreUnavailable

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
ISOLATION = "SET default_transaction_isolation = 'read committed'"
"""Each statement sees what was committed before it, whatever the server, the database or the user begin with: those who
wait for each other go on with what the other has done."""
OLDEST = 150000
"""The first server version that minuet knows: 15."""
ENDLESS_SECONDS = 30.0
"""How long a connection is thought to take at most when the user sets no limit."""
LONGEST_PAUSE_SECONDS = 0.5
"""How long a process that lost its listening connection waits between two attempts to make it anew, at most."""
SWEEP_SECONDS = 5.0
"""How often a process looks although nobody told it to: a safety net of index look-ups under the notifications."""
LOCKS = 0x6D696E76
"""The class of those that let one process at a time change the schema, set up or trim."""
CHANNEL = "minuet"
NO_REFUSALS = {"08", "25", "40", "53", "54", "55", "57", "58", "F0", "XX"}
"""Classes of errors at a commit that are no doing of what is committed: no room, a conflict with others, an end."""
ELSEWHERE = "0"
"""Who notifies when it is not one of minuet's processes: a user's own transaction."""


class PostgresDatabase:
    """One PostgreSQL database, used by one process from one event loop."""

    def __init__(self, place: PostgresPlace) -> None:
        self.place = place
        self._opened = 0
        self._number = 0
        self._idle: list[Line] = []
        self._room = asyncio.Semaphore(place.pool)
        self.listeners = Listeners()
        """Those in this process who look again when another may have committed."""
        self._listening: asyncio.Task[None] | None = None
        self._held: psycopg.AsyncConnection[Any] | None = None
        self._opening = asyncio.Lock()
        self._stirred = asyncio.Event()
        """Set when the listening connection has something to say, or should be looked after."""
        self._witness = Witness((limits(place)[1] or ENDLESS_SECONDS) + 2 * LONGEST_PAUSE_SECONDS)
        self.answers: dict[str, int] = {}
        """How many rows each statement of a service has changed whenever it was performed; -1 when that varies."""
        self.under_way = 0
        """How many of this process's transactions with a store's tables are open."""
        self.horizon = Horizon(self.listeners.tell)

    def __repr__(self) -> str:
        return f"<PostgresDatabase {self.place.shown}, {'open' if self._opened else 'closed'}>"

    # -- opening and closing

    async def open(self) -> None:
        """Connect. Broker and store may each open; the last to close closes."""
        async with self._opening:
            self._opened += 1
            if self._opened > 1:
                return
            try:
                self._number = secrets.randbelow(2**31 - 1) + 1
                self._room = asyncio.Semaphore(self.place.pool)
                self._stirred = asyncio.Event()
                listener = await self._listen()
            except BaseException as error:
                self._opened = 0
                self._witness.leave()
                if isinstance(error, psycopg.Error):
                    raise StoreUnavailable(not_let_work(self.place.shown, "listening", error)) from None
                raise
            self._listening = asyncio.create_task(self._stay_told(listener), name="minuet listening")

    async def close(self) -> None:
        """Disconnect, if nobody else has it open."""
        async with self._opening:
            self._opened -= 1
            if self._opened:
                return
            self.listeners.clear()
            self.horizon.close()
            if self._listening is not None:
                self._listening.cancel()
                await asyncio.gather(self._listening, return_exceptions=True)
            if self._held is not None:
                await self._held.close()
                self._held = None
            for line in self._idle:
                line.abandon()
            self._idle.clear()

    async def connect(self) -> psycopg.AsyncConnection[Any]:
        """A new connection. Raises StoreUnavailable in prose, without credentials."""
        shown = self.place.shown
        options, seconds = limits(self.place)
        try:
            async with asyncio.timeout(seconds or None):
                connection = await GuardedConnection.connect(make_conninfo("", **options), autocommit=True)
        except TimeoutError:
            raise StoreUnavailable(silent(shown, seconds)) from None
        except psycopg.Error as error:
            raise StoreUnavailable(not_let_in(shown, error)) from None
        if connection.info.server_version < OLDEST:
            version = connection.info.server_version
            await connection.close()
            raise StoreUnavailable(too_old(shown, version))
        self.horizon.forget()
        return connection

    # -- transactions

    @asynccontextmanager
    async def line(self) -> AsyncGenerator[Line]:
        """A connection of the pool, no transaction open on it. What is left open is rolled back with its connection.

        Raises ConnectionLost when the connection is lost in the block, in place of what the driver raises.
        """
        async with self._room:
            line = self._idle.pop() if self._idle else None
            while line is not None and not line.stands():
                line.abandon()
                line = self._idle.pop() if self._idle else None
            if line is None:
                connection = await self.connect()
                line = Line(connection)
                assert isinstance(connection, GuardedConnection)
                connection.line = line
                line.post(ISOLATION)
                if not self._witness.present:
                    self._stirred.set()
            try:
                yield line
            except asyncio.CancelledError:
                line.abandon()
                raise
            except psycopg.Error as error:
                if line.ended_by(error):
                    raise ConnectionLost(lost(self.place.shown, error)) from error
                raise
            finally:
                await self._take_back(line)

    async def _take_back(self, line: Line) -> None:
        """Make a line ready for its next user: nothing under way, no transaction open."""
        try:
            await line.quiet()
            if line.usable and not line.idle:
                await line.send("ROLLBACK")
                await line.quiet()
        except (psycopg.Error, asyncio.CancelledError) as error:
            line.abandon()
            if isinstance(error, asyncio.CancelledError):
                raise
        if line.usable and line.idle and self._opened:
            self._idle.append(line)
        else:
            line.abandon()

    async def read(self, sql: str, *values: object) -> list[Row]:
        """Run a query on what is committed."""
        async with self.line() as line:
            return await line.rows(sql, *values)

    async def perform(self, sql: str, *values: object) -> int:
        """Perform a statement, which commits by itself; how many rows it changed."""
        async with self.line() as line:
            return await line.changed(sql, *values)

    @asynccontextmanager
    async def writing(self, *, wakes: bool = False) -> AsyncGenerator[Line]:
        """A transaction on a line: durable when the block ends, rolled back when it raises."""
        async with self.line() as line:
            line.post(BEGIN)
            yield line
            await self.commit(line, wakes=wakes)

    async def commit(self, line: Line, *, wakes: bool) -> None:
        """Commit, whoever is cancelled meanwhile, and tell other processes in the same breath."""
        done = line.send("COMMIT")
        if wakes:
            line.post("SELECT pg_notify($1, $2)", CHANNEL, self.member)
        cancelled: asyncio.CancelledError | None = None
        while not done.done():
            try:
                await asyncio.shield(done)
            except asyncio.CancelledError as error:
                cancelled = error
            except psycopg.Error:
                break
        try:
            result = done.result()
        except psycopg.Error as error:
            # A deferred trigger may refuse with any error, and then nothing before the commit was refused.
            itself = isinstance(line.refused, Statement) and line.refused.done is done
            if itself and not line.ended_by(error) and (error.sqlstate or "XX")[:2] not in NO_REFUSALS:
                raise CommitRefused(f"The commit was refused: {' '.join(str(error).split())}.") from error
            raise
        if result.command_status == b"ROLLBACK":
            raise psycopg.errors.InFailedSqlTransaction("the transaction had failed before its commit")
        if cancelled is not None:
            raise Committed from cancelled

    async def prepare_schema(self, part: str, steps: Sequence[Step], *, create: bool = True) -> None:
        """Bring a part of the schema up to a version, once, also when several do it at the same time.

        Raises StoreUnavailable in prose.
        """
        try:
            await self._prepare_schema(part, steps, create=create)
        except psycopg.Error as error:
            raise StoreUnavailable(not_let_work(self.place.shown, "making its tables", error)) from error

    async def refuse_powerless(self) -> None:
        """Raise StoreUnavailable where nobody may write, or this user may not write minuet's tables."""
        [(frozen, forbidden)] = await self.read(_POWERS)
        error: psycopg.Error | None = None
        if frozen:
            error = psycopg.errors.ReadOnlySqlTransaction("every transaction is read-only")
        elif forbidden is not None:
            error = psycopg.errors.InsufficientPrivilege(f"no right to read and write {forbidden}")
        if error is not None:
            raise StoreUnavailable(not_let_work(self.place.shown, "a look at its rights", error))

    async def _prepare_schema(self, part: str, steps: Sequence[Step], *, create: bool) -> None:
        async with self.line() as line:
            if not due(part, self.place.shown, await _version(line, part), steps, create=create):
                return
        async with self.writing() as line:
            await line.send("SELECT pg_advisory_xact_lock($1, 1)", LOCKS)
            if (schema := self.place.schema) and not await line.rows(_HAS_SCHEMA, schema):
                await line.send(f"CREATE SCHEMA {schema}")
            for version, step in due(part, self.place.shown, await _version(line, part), steps, create=create):
                for statement in step:
                    await line.send(statement)
                await line.send("INSERT INTO minuet_migrations (part, version) VALUES ($1, $2)", part, version)

    async def refuse_stranger(self, table: str) -> None:
        """Raise NeverUsed unless minuet has used this database; `table` is one that it then has."""
        connection = await self.connect()
        try:
            found = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,))).fetchone()
        finally:
            await connection.close()
        if not found or not found[0]:
            raise NeverUsed(
                f"{self.place.shown} is a PostgreSQL database that no minuet app has used: it has no table {table}. "
                "Check the URL."
            )

    # -- who lives

    @property
    def member(self) -> str:
        """This process's name among those that use the database."""
        return str(self._number)

    async def dead(self, members: set[str]) -> set[str]:
        """Those of these processes that do not live any more."""
        found = await self._witness.dead(self.read, self._number, {int(member) for member in members - {self.member}})
        if not self._witness.present:
            self._stirred.set()
        return {str(number) for number in found}

    # -- being told

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call this whenever another process may have committed. Returns how to end that."""
        return self.listeners.add(wake)

    async def _listen(self) -> psycopg.AsyncConnection[Any]:
        connection = await self.connect()
        try:
            if self._held is None:  # not for a process that has lost its place: its pool may have no second one free
                await refuse_shared_sessions(connection, self.connect, self.place)
            await connection.execute(f"LISTEN {CHANNEL}")
            await connection.execute("SELECT pg_advisory_lock(%s, %s)", (MEMBERS, self._number))
        except BaseException:
            await connection.close()
            raise
        self._held = connection
        self._witness.arrive()
        return connection

    async def _stay_told(self, connection: psycopg.AsyncConnection[Any] | None) -> None:
        """Listen for ever; a connection that was lost is made anew, later each time."""
        pause = 0.05
        while True:
            try:
                if connection is None:
                    connection = await self._listen()
                pause = 0.05
                self.listeners.tell()
                await self._hear(connection)
            except (psycopg.Error, StoreUnavailable, OSError):
                self._witness.leave()
                if connection is not None:
                    with contextlib.suppress(psycopg.Error):
                        await connection.close()
                connection = None
                self._stirred.clear()
                await self._stirs(pause * random.uniform(0.5, 1))
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _stirs(self, seconds: float) -> bool:
        """Whether something stirs within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._stirred.wait()
        return False

    async def _hear(self, connection: psycopg.AsyncConnection[Any]) -> None:
        pg, loop = connection.pgconn, asyncio.get_running_loop()
        socket = pg.socket
        loop.add_reader(socket, self._stirred.set)
        try:
            while self._witness.present:
                swept = not await self._stirs(SWEEP_SECONDS * random.uniform(0.8, 1.2))
                self._stirred.clear()
                pg.consume_input()
                heard = False
                while (notice := pg.notifies()) is not None:
                    heard = heard or notice.extra != self.member.encode()
                if heard or swept:
                    self.listeners.tell()
        finally:
            loop.remove_reader(socket)
        raise psycopg.OperationalError("the server does not know this connection any more")


async def _version(line: Line, part: str) -> int:
    """Which version of a part of the schema there is; 0 for none."""
    if not await line.rows(_HAS_MIGRATIONS):
        return 0
    [(version,)] = await line.rows("SELECT coalesce(max(version), 0) FROM minuet_migrations WHERE part = $1", part)
    return int(version)


class Committed(asyncio.CancelledError):
    """Whoever waited for a commit was cancelled, and it is committed."""


# The catalogue itself is asked: to_regclass and to_regnamespace answer with what the session knew before it waited for
# a lock.
_HAS_SCHEMA = "SELECT 1 FROM pg_namespace WHERE nspname = $1"
_HAS_MIGRATIONS = "SELECT 1 FROM pg_class WHERE relname = 'minuet_migrations' AND pg_table_is_visible(oid)"

_POWERS = """
SELECT current_setting('transaction_read_only') = 'on', string_agg(relname, ', ' ORDER BY relname)
FROM pg_class WHERE relname LIKE 'minuet\\_%' AND relkind IN ('r', 'p') AND pg_table_is_visible(oid)
AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
    AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))"""
