"""Statements on one PostgreSQL connection: those that are there at the same time share a round trip.

libpq's pipeline mode, through psycopg's `pq` module: what is sent while a flight is under way waits, and goes together
with the next one. Each statement has its own result, row count and error; after an error the rest of its flight is not
performed. See decision 13.
"""

from __future__ import annotations

import asyncio
import secrets
import select
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

from minuet.databases.postgres.encoding import encoded

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

Row = tuple[Any, ...]
MOST_PREPARED = 1000
"""How many statements a connection keeps prepared; others are parsed each time."""


class Statement:
    """A statement under way, and the future of its result."""

    __slots__ = ("binary", "done", "names", "sql", "values")

    def __init__(self, sql: str, values: Sequence[object], done: asyncio.Future[PGresult], *, binary: bool) -> None:
        self.sql = sql
        self.values = values
        self.done = done
        self.binary = binary


class Line:
    """One connection of minuet's own, on which statements are sent."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection
        self._pg = connection.pgconn
        self._watched = -1
        """The socket that is watched now. libpq closes it when the connection is lost, and its number is given to
        another: whoever watches must let go of it by the number it had."""
        self._prepared: dict[str, bytes] = {}
        self._names = f"minuet_{secrets.token_hex(6)}".encode()
        """What the names of its prepared statements begin with: on a session that a pool has given to several, nobody
        performs what another has prepared."""
        self._numbers = count()
        self._waiting: list[Statement] = []
        self._flight: deque[Statement | str] = deque()
        """What results are awaited of, in order; a text is a statement that is being prepared."""
        self._flying = False
        self._launching = False
        self._error: psycopg.Error | None = None
        self.refused: Statement | str | None = None
        """What was refused first of the last flight, and the rest with it."""
        self._loop = asyncio.get_running_loop()
        self._quiet: list[asyncio.Future[None]] = []
        self.held: Callable[[], None] | None = None
        """Sends what somebody holds back to send it with what may follow; called once, before anything else goes."""
        self._decoding = Transformer(connection)
        self.touched = False
        """Whether a reaction did what may outlive its transaction, such as SET."""
        self.asked: asyncio.Future[PGresult] | None = None
        """The last statement of a reaction, which may not have waited for it."""
        self.failed = False
        """Whether a statement was refused since somebody set this to False."""

    def __repr__(self) -> str:
        return f"<Line {self._pg.backend_pid if self.usable else 'lost'}, {len(self._waiting)} waiting>"

    @property
    def usable(self) -> bool:
        """Whether the connection stands, and nothing is under way."""
        return self._pg.status == pq.ConnStatus.OK and not self.busy

    def stands(self) -> bool:
        """Whether it is `usable`, and the server has not ended it while nobody looked."""
        try:
            while self.usable and _can_be_read(self._pg.socket):
                self._pg.consume_input()
        except psycopg.Error:
            return False
        return self.usable

    def ended_by(self, error: psycopg.Error) -> bool:
        """Whether the connection has ended with this error, or is about to."""
        return self._pg.status != pq.ConnStatus.OK or error.diag.severity_nonlocalized in ("FATAL", "PANIC")

    @property
    def busy(self) -> bool:
        return bool(self._flying or self._waiting)

    @property
    def idle(self) -> bool:
        """Whether no transaction is open."""
        return self._pg.transaction_status == pq.TransactionStatus.IDLE

    @property
    def broken(self) -> bool:
        """Whether a transaction is open and a statement in it was refused."""
        return self._pg.transaction_status == pq.TransactionStatus.INERROR

    # -- sending

    def send(self, sql: str, *values: object, binary: bool = True) -> asyncio.Future[PGresult]:
        """Perform a statement with the next flight. Nobody need wait for it: what follows fails if it does."""
        if self.held is not None:
            self._let_go()
        done: asyncio.Future[PGresult] = self._loop.create_future()
        done.add_done_callback(_looked_at)
        self._waiting.append(Statement(sql, values, done, binary=binary))
        if not self._flying and not self._launching:
            self._launching = True
            self._loop.call_soon(self._launch)
        return done

    def post(self, sql: str, *values: object) -> None:
        """The same, for whoever does not wait."""
        _ = self.send(sql, *values)

    async def changed(self, sql: str, *values: object) -> int:
        """Perform a statement; how many rows it changed."""
        return (await self.send(sql, *values)).command_tuples or 0

    async def rows(self, sql: str, *values: object) -> list[Row]:
        """Perform a query; its rows."""
        return self.decoded(await self.send(sql, *values))

    def decoded(self, result: PGresult) -> list[Row]:
        """The rows of a result."""
        self._decoding.set_pgresult(result)
        return self._decoding.load_rows(0, result.ntuples, tuple)

    async def quiet(self) -> None:
        """Wait until nothing is under way, so that somebody else may use the connection."""
        if self.held is not None:
            self._let_go()
        while self.busy:
            done: asyncio.Future[None] = self._loop.create_future()
            self._quiet.append(done)
            await done

    def _let_go(self) -> None:
        held, self.held = self.held, None
        assert held is not None
        held()

    def _launch(self) -> None:
        self._launching = False
        if self._flying or not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        pg = self._pg
        self._flying, self._error, self.refused = True, None, None
        try:
            pg.enter_pipeline_mode()
            for statement in waiting:
                try:
                    values = [encoded(value) for value in statement.values]
                    sql = statement.sql.encode()
                except Exception as error:  # noqa: BLE001  # told to whoever sent it; the rest must not go without it
                    self._error = _as_psycopg(error)
                    if not statement.done.done():
                        statement.done.set_exception(error)
                    break
                self._send(statement, sql, values)
            pg.pipeline_sync()
            self._watched = pg.socket
            self._loop.add_reader(self._watched, self._readable)
            if pg.flush():
                self._loop.add_writer(self._watched, self._writable)
        except psycopg.Error as error:
            self._lost(error, waiting)
            return
        self._unsent(waiting)

    def _send(self, statement: Statement, sql: bytes, values: list[tuple[bytes | None, int]]) -> None:
        pg, data, formats = self._pg, [value for value, _ in values], [form for _, form in values]
        name = self._prepared.get(statement.sql)
        if name is None and len(self._prepared) < MOST_PREPARED:
            name = self._prepared[statement.sql] = b"%s_%d" % (self._names, next(self._numbers))
            pg.send_prepare(name, sql)
            self._flight.append(statement.sql)
        if name is not None:
            pg.send_query_prepared(name, data, formats, statement.binary)
        else:
            pg.send_query_params(sql, data, None, formats, statement.binary)
        self._flight.append(statement)

    def _unsent(self, waiting: Sequence[Statement]) -> None:
        """What came after a statement that could not be sent is not performed either."""
        if self._error is not None:
            flying = set(map(id, self._flight))
            for statement in waiting:
                if id(statement) not in flying and not statement.done.done():
                    statement.done.set_exception(self._error)

    # -- receiving

    def _writable(self) -> None:
        try:
            if not self._pg.flush():
                self._loop.remove_writer(self._watched)
        except psycopg.Error as error:
            self._lost(error)

    def _readable(self) -> None:
        pg = self._pg
        try:
            # A connection that was reset may be said to be readable once: read until there is nothing, or the error.
            while True:
                pg.consume_input()
                if pg.flush() == 0:
                    self._loop.remove_writer(self._watched)
                while not pg.is_busy():
                    result = pg.get_result()
                    if result is None:
                        continue
                    if result.status == pq.ExecStatus.PIPELINE_SYNC:
                        self._landed()
                        return
                    self._told(result)
                if not _can_be_read(self._watched):
                    return
        except psycopg.Error as error:
            self._lost(error)

    def _told(self, result: PGresult) -> None:
        if not self._flight:
            raise error_from_result(result)  # the server's last words, after all that was asked of it
        subject = self._flight.popleft()
        good = result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
        if not good:
            self.failed = True
            if self._error is None:
                self._error, self.refused = error_from_result(result), subject
        if isinstance(subject, str):
            if not good:
                self._prepared.pop(subject, None)
            return
        if not good and isinstance(self._error, psycopg.errors.InvalidSqlStatementName):
            self._prepared.clear()  # a pool has forgotten it, or psycopg, which deallocates all with its own
        elif not good and isinstance(self._error, psycopg.errors.FeatureNotSupported):
            self._prepared.pop(subject.sql, None)  # it does not fit any more: a column was added
        if not subject.done.done():
            if good:
                subject.done.set_result(result)
            else:
                assert self._error is not None
                subject.done.set_exception(self._error)

    def _landed(self) -> None:
        self._flying = False
        self._unwatch()
        self._pg.exit_pipeline_mode()
        if self._waiting:
            self._launch()
        if not self.busy:
            self._tell_quiet()

    def _tell_quiet(self) -> None:
        for done in self._quiet:
            if not done.done():
                done.set_result(None)
        self._quiet.clear()

    def _lost(self, error: psycopg.Error, more: Sequence[Statement] = ()) -> None:
        """The connection is gone, and with it what was under way."""
        everybody = [*(one for one in self._flight if isinstance(one, Statement)), *more, *self._waiting]
        self._flight.clear()
        self._waiting = []
        self._flying = False
        self.abandon()
        for statement in everybody:
            if not statement.done.done():
                statement.done.set_exception(error)
        self._tell_quiet()

    def _unwatch(self) -> None:
        if self._watched >= 0:
            self._loop.remove_reader(self._watched)
            self._loop.remove_writer(self._watched)
            self._watched = -1

    def abandon(self) -> None:
        """Cut the connection, whatever is under way; the server rolls back."""
        self._unwatch()
        self._pg.finish()
        if self._flight or self._waiting:
            self._lost(psycopg.OperationalError("the connection was abandoned"))


def _can_be_read(socket: int) -> bool:
    """Whether there is something to read now, were it the end."""
    watched = select.poll()
    watched.register(socket, select.POLLIN)
    return bool(watched.poll(0))


def _looked_at(done: asyncio.Future[PGresult]) -> None:
    """A statement that nobody waited for may fail unseen: what follows it in its transaction is refused."""
    if not done.cancelled():
        done.exception()


def _as_psycopg(error: Exception) -> psycopg.Error:
    return error if isinstance(error, psycopg.Error) else psycopg.DataError(str(error))
