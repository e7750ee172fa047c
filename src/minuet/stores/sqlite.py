"""The SQLite store: a service's state, inbox, outbox, parked deliveries and dead letters in one file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from minuet.databases.sqlite import Database, Row, SqlitePlace
from minuet.databases.statements import load, split
from minuet.errors import StoreUnavailable
from minuet.ports.broker import Message
from minuet.ports.store import (
    Attempt,
    DeadLetter,
    DeadLetterFilter,
    Owed,
    Parameters,
    Parked,
    StoreCapabilities,
)

SQL = load("minuet.stores", "sqlite.sql")
T = TypeVar("T")
_SCALARS = frozenset({int, str, float, bytes, bool})
_history = msgspec.json.Decoder(tuple[Attempt, ...])
_headers = msgspec.json.Decoder(dict[str, str])
_text = msgspec.json.Encoder()


def _json(value: object) -> str:
    return _text.encode(value).decode()


def _headers_text(headers: Mapping[str, str] | None) -> str | None:
    return None if headers is None else _json(dict(headers))


def _headers_of(text: Any) -> dict[str, str] | None:
    return None if text is None else _headers.decode(text)


class SqliteTransaction:
    """What a reaction is given: SQL on the connection, while its transaction is open."""

    __slots__ = ("_connection", "_execute")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._execute: Callable[..., sqlite3.Cursor] = connection.execute

    async def execute(self, sql: str, params: Parameters = ()) -> int:
        return self._execute(sql, params).rowcount

    async def fetch(self, into: type[T], sql: str, params: Parameters = ()) -> list[T]:
        cursor = self._execute(sql, params)
        rows = cursor.fetchall()
        if into in _SCALARS:
            return [msgspec.convert(row[0], into, strict=False) for row in rows]
        names = [column[0] for column in cursor.description]
        return [msgspec.convert(dict(zip(names, row, strict=True)), into, strict=False) for row in rows]

    async def fetch_one(self, into: type[T], sql: str, params: Parameters = ()) -> T | None:
        rows = await self.fetch(into, sql, params)
        return rows[0] if rows else None

    def end(self) -> None:
        """The transaction is over; a reaction that kept this object is told so."""
        self._connection = None
        self._execute = _over


def _over(sql: str, params: object = ()) -> sqlite3.Cursor:  # noqa: ARG001  # refused unseen
    raise StoreUnavailable(
        f"The transaction is over, and {sql!r} came after it. A reaction's Transaction ends when the reaction "
        "returns: await all of its statements inside, and start no task that outlives it."
    )


class SqliteUnit:
    """One transaction, with the store's tables by subject."""

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self.native = connection
        self.transaction = SqliteTransaction(connection)
        self.inbox = SqliteInbox(connection)
        self.outbox = SqliteOutbox(connection, self)
        self.parking = SqliteParking(connection, database)
        self.dead_letters = SqliteDeadLetters(connection, self)
        self.counters = SqliteCounters(connection)
        self.callbacks: list[Callable[[], None]] = []
        self.wakes_neighbours = False

    async def mark(self) -> None:
        self.native.execute("SAVEPOINT turn")

    async def keep(self) -> None:
        self.native.execute("RELEASE turn")

    async def undo(self) -> None:
        self.native.execute("ROLLBACK TO turn")
        self.native.execute("RELEASE turn")

    def wake_others(self) -> None:
        self.wakes_neighbours = True

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


class SqliteInbox:
    """What each consumer has already had."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def seen(self, consumer: str, identities: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        found = self._connection.execute(
            SQL["inbox_seen"], {"consumer": consumer, "identities": _json(identities)}
        ).fetchall()
        return {(str(source), str(event_id)) for source, event_id in found}

    async def remember(self, consumer: str, identities: Sequence[tuple[str, str]], at: float) -> None:
        self._connection.executemany(
            SQL["inbox_remember"], [(consumer, source, event_id, at) for source, event_id in identities]
        )


class SqliteOutbox:
    """What this file's services owe a broker elsewhere."""

    def __init__(self, connection: sqlite3.Connection, unit: SqliteUnit) -> None:
        self._connection = connection
        self._unit = unit

    async def owe(self, messages: Sequence[Message], at: float) -> None:
        self._connection.executemany(
            SQL["outbox_owe"],
            [(m.topic, m.key, m.id, m.source, _headers_text(m.headers), m.body, at) for m in messages],
        )
        self._unit.wakes_neighbours = True


class SqliteParking:
    """Deliveries that wait or run."""

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self._connection = connection
        self._database = database

    async def busy(self, consumer: str) -> bool:
        return self._connection.execute(SQL["parked_busy"], (consumer,)).fetchone() is not None

    async def blocked(self, consumer: str, keys: Sequence[str]) -> set[str]:
        found = self._connection.execute(SQL["parked_blocked"], {"consumer": consumer, "keys": _json(keys)})
        return {str(key) for (key,) in found.fetchall()}

    async def park(
        self,
        deliveries: Sequence[Parked],
        *,
        state: Literal["due", "behind", "running"],
        due_at: float | None = None,
    ) -> list[int]:
        owner = self._database.member if state == "running" else None
        return [self._insert(parked, state, due_at, owner) for parked in deliveries]

    def _insert(self, p: Parked, state: str, due_at: float | None, owner: str | None) -> int:
        row = (
            p.consumer, p.topic, p.key, p.event_id, p.source, _headers_text(p.headers), p.body,
            p.attempts, _json(p.history) if p.history else "[]", p.dead_letter, state, due_at, owner,
        )  # fmt: skip
        number = self._connection.execute(SQL["park"], row).lastrowid
        assert number is not None
        return number

    async def due(self, consumer: str, now: float, limit: int, *, run: bool) -> list[Parked]:
        rows = self._connection.execute(SQL["parked_due"], (consumer, now, limit)).fetchall()
        found = [_parked(row) for row in rows]
        if run:
            self._connection.executemany(SQL["parked_run"], [(self._database.member, p.id) for p in found])
        return found

    async def postpone(self, parked: Parked, due_at: float) -> None:
        self._connection.execute(SQL["parked_postpone"], (due_at, parked.attempts, _json(parked.history), parked.id))

    async def settle(self, parked: Sequence[Parked], outcome: Literal["handled", "dead"], at: float) -> None:
        execute = self._connection.execute
        for p in parked:
            if outcome == "dead" or execute(SQL["parked_forget"], (p.id,)).rowcount == 0:
                execute(SQL["parked_settle"], (outcome, at, p.id))
            if outcome == "handled" and p.dead_letter is not None:
                execute(SQL["dead_letter_state"], {"id": p.dead_letter, "state": "resolved", "at": at})
            if p.key is not None:
                execute(SQL["parked_promote"], {"consumer": p.consumer, "key": p.key, "at": at})

    async def give_back(self, parked: Sequence[Parked], now: float) -> None:
        self._connection.executemany(SQL["parked_give_back"], [(now, p.id) for p in parked])

    def hold(self, parked: Parked, letter: int) -> None:
        """Keep a dead delivery in its key's way until its letter is redriven or discarded."""
        if parked.id:
            self._connection.execute(SQL["parked_hold"], (letter, parked.id))
        else:
            self._insert(msgspec.structs.replace(parked, dead_letter=letter), "held", None, None)


class SqliteDeadLetters:
    """Deliveries given up on."""

    def __init__(self, connection: sqlite3.Connection, unit: SqliteUnit) -> None:
        self._connection = connection
        self._unit = unit

    async def bury(self, letter: DeadLetter, *, hold: Parked | None = None) -> int:
        d, execute = letter, self._connection.execute
        if d.id:
            execute(
                SQL["bury_again"],
                (d.reason, d.error, d.trace, d.attempts, _json(d.history), d.at, d.at, d.id),
            )
            number = d.id
        else:
            row = (
                d.consumer, d.topic, d.key, d.event_id, d.source, d.correlation_id, d.type, _headers_text(d.headers),
                d.body, d.reason, d.error, d.trace, d.attempts, _json(d.history), d.at, d.at,
            )  # fmt: skip
            number = execute(SQL["bury"], row).lastrowid or 0
        if hold is not None:
            self._unit.parking.hold(hold, number)
        return number

    async def find(self, ids: Sequence[int]) -> list[DeadLetter]:
        rows = self._connection.execute(SQL["dead_letters_by_id"], (_json(ids),)).fetchall()
        return [_dead_letter(row) for row in rows]

    async def redrive(self, letter: DeadLetter, now: float) -> bool:
        if not self._leave_open(letter, "redriven", now):
            return False
        headers = _headers_text(letter.headers)
        held = self._connection.execute(SQL["parked_held"], (letter.id,)).fetchone()
        if held is not None:
            self._connection.execute(SQL["parked_release_held"], (now, letter.body, headers, held[0]))
        else:
            parked = Parked(
                id=0, consumer=letter.consumer, topic=letter.topic, key=letter.key, event_id=letter.event_id,
                source=letter.source, headers=letter.headers, body=letter.body, dead_letter=letter.id,
            )  # fmt: skip
            blocked = letter.key is not None and await self._unit.parking.blocked(letter.consumer, [letter.key])
            if blocked:
                await self._unit.parking.park([parked], state="behind")
            else:
                await self._unit.parking.park([parked], state="due", due_at=now)
        return True

    async def discard(self, letter: DeadLetter, now: float) -> bool:
        if not self._leave_open(letter, "discarded", now):
            return False
        held = self._connection.execute(SQL["parked_held"], (letter.id,)).fetchone()
        if held is not None:
            parked = Parked(
                id=int(held[0]), consumer=letter.consumer, topic=letter.topic, key=letter.key,
                event_id=letter.event_id, source=letter.source, headers=letter.headers, body=letter.body,
            )  # fmt: skip
            await self._unit.parking.settle([parked], "dead", now)
        return True

    def _leave_open(self, letter: DeadLetter, state: str, now: float) -> bool:
        self._unit.wakes_neighbours = True
        values = {"id": letter.id, "state": state, "difference": letter.difference, "at": now}
        return self._connection.execute(SQL["dead_letter_leave_open"], values).rowcount == 1


class SqliteCounters:
    """Durable counts of what is rare."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def add(self, service: str, name: str, count: int) -> None:
        self._connection.execute(SQL["count"], (service, name, count))


class SqliteScope:
    """A store transaction as a context."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> SqliteUnit:
        await self._database.acquire()
        self._unit = SqliteUnit(self._database.writer, self._database)
        return self._unit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unit.transaction.end()
        self._database.release(commit=error is None)
        if error is None:
            for callback in self._unit.callbacks:
                callback()
            if self._unit.wakes_neighbours:
                self._database.wake_neighbours()


class SqliteStore:
    """A store in one SQLite file: `sqlite:///orders.db`, relative to the working directory, or four slashes."""

    capabilities: ClassVar[StoreCapabilities] = StoreCapabilities(
        persistent=True, shared=True, native=("sqlite3.Connection",)
    )

    def __init__(self, path: str | None, *, synchronous: str = "FULL") -> None:
        self.database = Database(path, synchronous=synchronous)

    @classmethod
    def from_url(cls, url: str) -> SqliteStore:
        """The store of `sqlite:///relative.db` or `sqlite:////absolute.db`, perhaps with `?synchronous=NORMAL`."""
        place = SqlitePlace.from_url(url)
        return cls(place.path, synchronous=place.synchronous)

    def __repr__(self) -> str:
        return f"<SqliteStore {self.database.path or 'in memory'}>"

    async def open(self) -> None:
        await self.database.open()
        async with self.database.writing() as connection:
            for statement in split(SQL["schema"]):
                connection.execute(statement)

    async def close(self) -> None:
        await self.database.close()

    def transaction(self) -> SqliteScope:
        return SqliteScope(self.database)

    def adopt(self, native: Any) -> SqliteUnit:
        if not isinstance(native, sqlite3.Connection):
            raise StoreUnavailable(
                f"emit(tx=...) was given a {type(native).__qualname__}, and this service keeps its events in SQLite "
                f"({self.database.path}). Give it the sqlite3.Connection that your transaction is on."
            )
        files = [str(row[2]) for row in native.execute("PRAGMA database_list") if row[1] == "main"]
        if self.database.path is None or not files[0] or not os.path.samefile(files[0], self.database.path):
            raise StoreUnavailable(
                f"emit(tx=...) was given a connection to {files[0] or 'a database in memory'}, and this service keeps "
                f"its events in {self.database.path or 'memory'}. One transaction cannot span two databases."
            )
        return SqliteUnit(native, self.database)

    def listen(self, wake: Callable[[], None]) -> None:
        self.database.listen(wake)

    async def reclaim(self, now: float) -> int:
        owners = [str(owner) for (owner,) in await self.database.read(SQL["parked_owners"])]
        dead = [owner for owner in owners if not self.database.alive(owner)]
        if not dead:
            return 0
        async with self.database.writing() as connection:
            return sum(
                connection.execute(SQL["parked_reclaim"], {"owner": owner, "now": now}).rowcount for owner in dead
            )

    async def next_due(self, consumer: str) -> float | None:
        [(instant,)] = await self.database.read(SQL["parked_next_due"], (consumer,))
        return instant if isinstance(instant, float) else None

    async def claim_owed(self, limit: int) -> list[Owed]:
        if not await self.database.read(SQL["outbox_any"]):
            return []
        me = self.database.member
        async with self.database.writing() as connection:
            for (owner,) in connection.execute(SQL["outbox_owners"]).fetchall():
                if not self.database.alive(owner):
                    connection.execute(SQL["outbox_free"], (owner,))
            rows: list[Row] = connection.execute(SQL["outbox_oldest"], (limit,)).fetchall()
            # In order: behind rows that another relay holds, nothing is published.
            if not rows or rows[0][8] not in (None, me):
                return []
            free = [row for row in rows if row[8] is None]
            if free:
                connection.execute(SQL["outbox_hold"], {"owner": me, "first": free[0][0], "last": free[-1][0]})
        return [Owed(_int(row[0]), _message(row[1:7]), _float(row[7])) for row in free]

    async def paid(self, owed: Sequence[Owed]) -> None:
        async with self.database.writing() as connection:
            connection.executemany(SQL["outbox_paid"], [(row.id,) for row in owed])

    async def unclaim(self, owed: Sequence[Owed]) -> None:
        async with self.database.writing() as connection:
            connection.executemany(SQL["outbox_unclaim"], [(row.id,) for row in owed])

    async def list_dead_letters(self, which: DeadLetterFilter, limit: int = 1000) -> list[DeadLetter]:
        values = {**msgspec.structs.asdict(which), "limit": limit}
        return [_dead_letter(row) for row in await self.database.read(SQL["dead_letters"], values)]

    async def waiting_behind(self, letter: DeadLetter) -> int:
        if letter.key is None:
            return 0
        [(count,)] = await self.database.read(SQL["parked_waiting_behind"], (letter.consumer, letter.key))
        return _int(count)

    async def counts(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for service, name, count in await self.database.read(SQL["counts"]):
            found.setdefault(str(service), {})[str(name)] = _int(count)
        return found

    async def keep_manifest(self, service: str, manifest: str) -> None:
        """Keep a service's manifest, so that the file alone can be read by `trace` and `graph`."""
        async with self.database.writing() as connection:
            connection.execute(SQL["manifest_keep"], (service, manifest))

    async def manifests(self) -> dict[str, str]:
        """The manifests of the services that have run on this file."""
        return {str(service): str(text) for service, text in await self.database.read(SQL["manifests"])}

    async def trim(self, before: float) -> int:
        async with self.database.writing() as connection:
            return sum(
                connection.execute(SQL[name], (before,)).rowcount
                for name in ("parked_trim", "inbox_trim", "dead_letters_trim")
            )


class MemoryStore(SqliteStore):
    """`memory://`: the SQLite store on a private database that is gone with the process.

    Reactions keep their SQL, so what is tested in memory is what runs.
    """

    capabilities: ClassVar[StoreCapabilities] = StoreCapabilities(
        persistent=False, shared=False, native=("sqlite3.Connection",)
    )

    @classmethod
    def from_url(cls, url: str) -> MemoryStore:
        return cls(None)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _float(value: object) -> float:
    assert isinstance(value, float)
    return value


def _message(row: Sequence[Any]) -> Message:
    topic, key, event_id, source, headers, body = row
    return Message(topic, key, event_id, source, _headers_of(headers), body)


def _parked(row: Sequence[Any]) -> Parked:
    number, consumer, topic, key, event_id, source, headers, body, attempts, history, dead_letter = row
    return Parked(
        id=number, consumer=consumer, topic=topic, key=key, event_id=event_id, source=source,
        headers=_headers_of(headers), body=body, attempts=attempts + 1,
        history=_history.decode(history), dead_letter=dead_letter,
    )  # fmt: skip


def _dead_letter(row: Sequence[Any]) -> DeadLetter:
    values = dict(zip(DeadLetter.__struct_fields__, row, strict=True))
    values["headers"] = _headers_of(values["headers"])
    values["history"] = _history.decode(values["history"])
    return DeadLetter(**values)
