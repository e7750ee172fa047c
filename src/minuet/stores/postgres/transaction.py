"""What a reaction is given of a PostgreSQL store: SQL in the transaction that records its delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import psycopg

from minuet.databases.postgres.control import Reach
from minuet.databases.postgres.guarded import allow
from minuet.databases.postgres.pipelining import Line
from minuet.databases.postgres.placeholders import bound
from minuet.databases.postgres.together import ALIKE, Insert, insert_of
from minuet.ports.transaction import SCALARS, Parameters, over

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

T = TypeVar("T")
UNLIKE = (psycopg.errors.DivisionByZero, psycopg.errors.FeatureNotSupported)
"""How a statement fails that does not do what was answered, or, on a table with rules, cannot go so."""
MOST_ANSWERS = 4096
"""Of how many statements it is remembered how many rows they change."""


class PostgresTransaction:
    """What a reaction is given: SQL on the connection, while its transaction is open."""

    __slots__ = ("_ahead", "_answers", "_held", "_line", "_looked", "_proving", "_sql")

    def __init__(self, line: Line, answers: dict[str, int]) -> None:
        self._line: Line | None = line
        self._answers = answers
        self._ahead: list[tuple[str, int, asyncio.Future[PGresult]]] | None = None
        """Statements under way whose answer was given already; None while answers are waited for."""
        self._proving: list[tuple[str, asyncio.Future[PGresult]]] = []
        """Of these each fails by itself, and with it the transaction, unless it does what was answered."""
        self._sql = ""
        self._held: tuple[Insert, list[Sequence[object]]] | None = None
        """Rows of an insert, `_sql`, that are held back to go together with more of the same."""
        self._looked = set[str]()
        """The tables of which it is made sure in this transaction that rows may go together."""

    async def execute(self, sql: str, params: Parameters = ()) -> int:
        answer = self._answers.get(sql)
        if self._ahead is not None and answer is not None and answer >= 0:
            if answer != 1 or not self._hold(sql, params):
                self._ahead.append((sql, answer, self._perform(sql, params)))
            return answer
        changed = (await self._perform(sql, params)).command_tuples or 0
        if answer is None and len(self._answers) < MOST_ANSWERS:
            self._answers[sql] = changed
        elif answer != changed:
            self._answers[sql] = -1
        return changed

    def run_ahead(self) -> None:
        """Answer what was always answered, before it is performed."""
        self._ahead = []

    def _hold(self, sql: str, params: Parameters) -> bool:
        """Hold a row back to go with more of the same statement. False when it cannot."""
        if self._line is None:
            return False
        if self._held is not None and sql == self._sql:
            self._held[1].append(bound(sql, params)[1])
            return True
        translated, values = bound(sql, params)
        insert = insert_of(translated, len(values))
        if insert is None:
            return False
        self._send_held()
        self._sql, self._held = sql, (insert, [values])
        self._line.held = self._send_held
        return True

    def _send_held(self) -> None:
        if self._held is None:
            return
        (insert, rows), self._held = self._held, None
        line, proving, at = self._line, self._proving, 0
        assert line is not None
        line.held = None
        for size in insert.sizes:
            while len(rows) - at >= size:
                values = [value for row in rows[at : at + size] for value in row]
                proving.append((self._sql, line.send(insert.rows(size), *values, binary=False)))
                at += size
        if len(rows) > 1 and insert.table not in self._looked:
            self._looked.add(insert.table)
            proving.append((self._sql, line.send(ALIKE, insert.table)))

    @property
    def is_ahead(self) -> bool:
        """Whether a reaction has run ahead and nobody has asked since whether that was right."""
        return self._ahead is not None

    @property
    def proves(self) -> bool:
        """Whether all that was answered before it was performed makes the transaction fail if that was wrong."""
        return not self._ahead

    def was_right(self) -> bool:
        """Whether what was answered already was right, once all is performed. From here on answers are waited for."""
        self._looked.clear()
        ahead, self._ahead = self._ahead or [], None
        right = not self.misled()
        for sql, answer, done in ahead:
            if done.cancelled() or done.exception() is not None:
                right = False
            elif (done.result().command_tuples or 0) != answer:
                self._answers[sql], right = -1, False
        return right

    def misled(self) -> bool:
        """Whether one of those that fail by themselves has failed, once all were performed. Which did something else
        than was answered is not answered ahead any more; which was refused for its values is.
        """
        proving, self._proving = self._proving, []
        for sql, done in proving:
            if done.cancelled():
                return True
            if (error := done.exception()) is not None:
                if isinstance(error, UNLIKE):
                    self._answers[sql] = -1
                return True
        return False

    async def fetch(self, into: type[T], sql: str, params: Parameters = ()) -> list[T]:
        result = await self._perform(sql, params)
        assert self._line is not None
        rows = self._line.decoded(result)
        if into in SCALARS:
            return [msgspec.convert(_plain(row[0]), into, strict=False) for row in rows]
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
        return [msgspec.convert(_filled(names, row), into, strict=False) for row in rows]

    async def fetch_one(self, into: type[T], sql: str, params: Parameters = ()) -> T | None:
        rows = await self.fetch(into, sql, params)
        return rows[0] if rows else None

    def _perform(self, sql: str, params: Parameters) -> asyncio.Future[PGresult]:
        if self._line is None:
            raise over(sql)
        if allow(sql) is Reach.CONNECTION:
            self._line.touched = True
        translated, values = bound(sql, params)
        self._line.asked = self._line.send(translated, *values, binary=False)
        return self._line.asked

    def end(self) -> None:
        """The transaction is over; a reaction that kept this object is told so."""
        self._line = None


def _plain(value: Any) -> Any:
    """A whole number that PostgreSQL calls numeric, such as the sum of bigints, is an int."""
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    return value


def _filled(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in zip(names, row, strict=True)}
