"""What a reaction is given of a PostgreSQL store: SQL in the transaction that records its delivery."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from minuet.databases.pipelining import Line
from minuet.databases.placeholders import bound
from minuet.errors import StoreUnavailable
from minuet.ports.store import Parameters

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

T = TypeVar("T")
_SCALARS = frozenset({int, str, float, bytes, bool})


class PostgresTransaction:
    """What a reaction is given: SQL on the connection, while its transaction is open."""

    __slots__ = ("_line",)

    def __init__(self, line: Line) -> None:
        self._line: Line | None = line

    async def execute(self, sql: str, params: Parameters = ()) -> int:
        return (await self._perform(sql, params)).command_tuples or 0

    async def fetch(self, into: type[T], sql: str, params: Parameters = ()) -> list[T]:
        result = await self._perform(sql, params)
        assert self._line is not None
        rows = self._line.decoded(result)
        if into in _SCALARS:
            return [msgspec.convert(_plain(row[0]), into, strict=False) for row in rows]
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
        return [msgspec.convert(_filled(names, row), into, strict=False) for row in rows]

    async def fetch_one(self, into: type[T], sql: str, params: Parameters = ()) -> T | None:
        rows = await self.fetch(into, sql, params)
        return rows[0] if rows else None

    async def _perform(self, sql: str, params: Parameters) -> PGresult:
        if self._line is None:
            raise StoreUnavailable(
                f"The transaction is over, and {sql!r} came after it. A reaction's Transaction ends when the reaction "
                "returns: await all of its statements inside, and start no task that outlives it."
            )
        translated, values = bound(sql, params)
        return await self._line.send(translated, *values, binary=False)

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
