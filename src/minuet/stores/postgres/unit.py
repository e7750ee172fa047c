"""One transaction of a PostgreSQL store, with its tables by subject."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psycopg

from minuet.databases.json_columns import headers_text
from minuet.databases.postgres import BEGIN, CHANNEL, ELSEWHERE, ISOLATION, LOCKS, Committed, PostgresDatabase
from minuet.databases.postgres.encoding import given_back, indexed, octets, texts
from minuet.databases.postgres.pipelining import Line
from minuet.databases.postgres.refusals import not_let_work
from minuet.errors import CommitRefused, OutOfStep, StoreUnavailable, TransactionLost
from minuet.ports.broker import Message
from minuet.ports.store import LEASE_SECONDS, Owed
from minuet.stores.postgres.letters import PostgresDeadLetters
from minuet.stores.postgres.parking import PostgresParking
from minuet.stores.postgres.rows import SQL, body_in_two
from minuet.stores.postgres.transaction import PostgresTransaction

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

FAILED = (
    "A statement of the reaction was refused, and with it, in PostgreSQL, all that follows in its transaction, however "
    "its error is caught. Let the error out, or put `SAVEPOINT mine` before the statement and `ROLLBACK TO mine` after."
)
LASTING = (
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    "RESET ALL",
    ISOLATION,
    "UNLISTEN *",
    "DISCARD TEMP",
    "SELECT pg_advisory_unlock_all()",
)
"""What takes back what a session keeps beyond its transactions."""


class PostgresUnit:
    """One transaction, with the store's tables by subject. When `adopted`, who opened it commits it."""

    turns_ahead = 256
    answers_ahead = True

    def __init__(self, line: Line, database: PostgresDatabase, *, adopted: bool = False) -> None:
        self.line = line
        self.native: psycopg.AsyncConnection[Any] = line.connection
        self._adopted = adopted
        self._database = database
        self.transaction = PostgresTransaction(line, database.answers)
        self.inbox = PostgresInbox(line)
        self.outbox = PostgresOutbox(line, self.wake_others, database.member)
        self.parking = PostgresParking(line, database.member)
        self.dead_letters = PostgresDeadLetters(line, self.parking, self.wake_others)
        self.counters = PostgresCounters(line)
        self.callbacks: list[Callable[[], None]] = []
        self.wakes_others = False
        self._marked = 0
        """How many callbacks there were at the mark."""

    async def one_at_a_time(self) -> None:
        try:
            await self.line.send(SQL["unit_turn"], LOCKS)
        except psycopg.Error as error:
            if self.line.ended_by(error):
                raise
            shown = self._database.place.shown
            raise StoreUnavailable(not_let_work(shown, "waiting for other processes", error)) from error

    async def mark(self) -> None:
        self.line.asked, self.line.failed = None, False
        self.line.post("SAVEPOINT minuet_turn")
        self._marked = len(self.callbacks)

    async def keep(self) -> None:
        line = self.line
        if line.failed or line.broken or (line.asked is not None and not line.asked.done()):
            await line.quiet()
            if line.broken:
                raise StoreUnavailable(FAILED)
        if line.touched:
            await self._let_nothing_last()
        line.post("RELEASE minuet_turn")

    async def undo(self) -> None:
        await self.line.quiet()
        if self.line.usable and self.line.idle:
            raise TransactionLost("The reaction ended the transaction that it shares with its inbox and its events.")
        self.line.post("ROLLBACK TO minuet_turn")
        self.line.post("RELEASE minuet_turn")
        if self.line.touched:
            await self._let_nothing_last()
        del self.callbacks[self._marked :]

    async def _let_nothing_last(self) -> None:
        """Take back what would outlive the reaction: settings, roles, locks of the session, temporary tables."""
        for sql in LASTING:
            self.line.post(sql)
        [(frozen,)] = await self.line.rows("SELECT current_setting('transaction_read_only') = 'on'")
        if frozen:
            raise StoreUnavailable("The reaction made its transaction read-only, and minuet writes in it too.")
        self.line.touched = False

    def run_ahead(self) -> None:
        self.transaction.run_ahead()

    async def caught_up(self) -> bool:
        await self.line.quiet()
        return self.transaction.was_right() and not self.line.broken and not self.line.touched

    def keep_ahead(self) -> bool:
        if self.line.touched or self.line.failed:
            return False
        self.line.post("RELEASE minuet_turn")
        return True

    @property
    def commit_proves(self) -> bool:
        line = self.line
        # What was refused, and taken back by a savepoint of the reaction's own, does not make the commit fail.
        refused = line.failed or line.broken or (line.asked is not None and not line.asked.done())
        return self.transaction.proves and not line.touched and not refused

    async def settle(self) -> None:
        """Before the commit: what was done outside any turn is to outlast it no more than what was done in one."""
        if self.line.touched:
            await self._let_nothing_last()

    def wake_others(self) -> None:
        if self._adopted and not self.wakes_others:
            self.line.post("SELECT pg_notify($1, $2)", CHANNEL, ELSEWHERE)
        self.wakes_others = True

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


class PostgresInbox:
    """What each consumer has already had."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def seen(self, consumer: str, identities: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        asked = _indexed(identities)
        return await self._among(asked, self._line.send(SQL["inbox_seen"], consumer, *_in_two(asked)))

    def remember(
        self, consumer: str, identities: Sequence[tuple[str, str]], at: float
    ) -> Awaitable[set[tuple[str, str]]]:
        asked = _indexed(identities)
        return self._among(asked, self._line.send(SQL["inbox_remember"], consumer, *_in_two(asked), at))

    async def _among(
        self, asked: Mapping[tuple[str, str], tuple[str, str]], answer: Awaitable[PGresult]
    ) -> set[tuple[str, str]]:
        rows = self._line.decoded(await answer)
        return {asked[given_back(source), given_back(event_id)] for source, event_id in rows}


def _indexed(identities: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str]]:
    """What was asked for, by what the table has for it."""
    return {(indexed(source), indexed(event_id)): (source, event_id) for source, event_id in identities}


def _in_two(identities: Collection[tuple[str, str]]) -> tuple[bytes, bytes]:
    return texts(source for source, _ in identities), texts(event_id for _, event_id in identities)


class PostgresOutbox:
    """What this database's services owe a broker elsewhere."""

    def __init__(self, line: Line, wake_others: Callable[[], None], member: str) -> None:
        self._line = line
        self._wake_others = wake_others
        self._member = member

    async def owe(self, messages: Sequence[Message], at: float) -> None:
        await self._line.send(SQL["outbox_owe"], *owed_columns(messages), at)
        self._wake_others()

    async def owe_held(
        self, messages: Sequence[Message], at: float, *, series: int, lease_seconds: float = LEASE_SECONDS
    ) -> Callable[[], Sequence[Owed]]:
        line, claim = self._line, f"{self._member}:born{series}:"
        line.post(SQL["outbox_by_index"])
        written = line.send(SQL["outbox_owe_held"], *owed_columns(messages), at, claim, lease_seconds)

        def held() -> list[Owed]:
            rows = zip(messages, line.decoded(written.result()), strict=True)
            return [Owed(number, message, at, owner) for message, (number, owner) in rows if owner is not None]

        return held


def owed_columns(messages: Sequence[Message]) -> tuple[object, ...]:
    """Messages as columns of the outbox."""
    bodies = [body_in_two(m.body) for m in messages]
    return (
        texts(m.topic for m in messages),
        texts(m.key for m in messages),
        texts(m.id for m in messages),
        texts(m.source for m in messages),
        texts(headers_text(m.headers) for m in messages),
        texts(body for body, _ in bodies),
        octets(each for _, each in bodies),
    )


class PostgresCounters:
    """Durable counts of what is rare."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def add(self, service: str, name: str, count: int) -> None:
        self._line.post(SQL["count"], service, name, count)


class PostgresScope:
    """A store transaction as a context."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def __aenter__(self) -> PostgresUnit:
        self._held: AbstractAsyncContextManager[Line] = self._database.line()
        line = await self._held.__aenter__()
        line.post(BEGIN)
        self._unit = PostgresUnit(line, self._database)
        self._database.under_way += 1
        return self._unit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unit = self._unit
        unit.transaction.end()
        try:
            if error is None:
                await self._commit(unit)
            else:
                self._database.under_way -= 1
        except BaseException as failed:
            await self._held.__aexit__(type(failed), failed, failed.__traceback__)
            raise
        await self._held.__aexit__(kind, error, trace)

    async def _commit(self, unit: PostgresUnit) -> None:
        cancelled: Committed | None = None
        try:
            await unit.settle()
            await self._database.commit(unit.line, wakes=unit.wakes_others)
        except Committed as found:
            cancelled = found
        except (psycopg.Error, CommitRefused) as error:
            lost = isinstance(error, psycopg.Error) and unit.line.ended_by(error)
            # Without a wrong answer something else of the reaction's may have failed: by itself it is told what.
            blind = unit.transaction.is_ahead and not isinstance(error, CommitRefused)
            if not lost and (unit.transaction.misled() or blind):
                raise OutOfStep from None
            raise
        finally:
            self._database.under_way -= 1
        for callback in unit.callbacks:
            callback()
        if cancelled is not None:
            raise cancelled
