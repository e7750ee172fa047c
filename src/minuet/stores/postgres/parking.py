"""The parked deliveries of a PostgreSQL store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from minuet.databases.json_columns import headers_text, text_of
from minuet.databases.postgres.encoding import given_back, indexed, indexed_or_none, numbers, octets, texts
from minuet.databases.postgres.pipelining import Line
from minuet.ports.store import Parked
from minuet.stores.postgres.rows import SQL, begun, body_in_two, parked_of

if TYPE_CHECKING:
    import asyncio

    from psycopg.pq.abc import PGresult


class PostgresParking:
    """Deliveries that wait or run."""

    def __init__(self, line: Line, member: str) -> None:
        self._line = line
        self._member = member
        self._by_index = False

    def busy(self, consumer: str) -> Awaitable[bool]:
        return _some(self._line.send(SQL["parked_busy"], consumer))

    async def blocked(self, consumer: str, keys: Sequence[str]) -> set[str]:
        asked, found = {indexed(key): key for key in keys}, set[str]()
        unsure = list(asked)
        while unsure:
            rows = await self._line.rows(SQL["parked_blocked"], consumer, texts(unsure))
            unsure = [given_back(key) for key, locked in rows if not locked]
            found |= {asked[given_back(key)] for key, locked in rows if locked}
        return found

    async def behind(self, consumer: str, now: float, most: int) -> int:
        [(count,)] = await self._line.rows(SQL["parked_behind"], consumer, now, most)
        return int(count)

    def park(
        self,
        deliveries: Sequence[Parked],
        *,
        state: Literal["due", "behind", "running"],
        due_at: float | None = None,
    ) -> Awaitable[list[int]]:
        return self._park(deliveries, state, due_at, self._member if state == "running" else None)

    def _park(self, deliveries: Sequence[Parked], state: str, due_at: float | None, owner: str | None) -> _Numbers:
        if not deliveries:
            return _Numbers(self._line, None)
        bodies = [body_in_two(p.body) for p in deliveries]
        numbered = self._line.send(
            SQL["park"],
            texts(p.consumer for p in deliveries),
            texts(p.topic for p in deliveries),
            texts(indexed_or_none(p.key) for p in deliveries),
            texts(indexed_or_none(p.event_id) for p in deliveries),
            texts(indexed_or_none(p.source) for p in deliveries),
            texts(headers_text(p.headers) for p in deliveries),
            texts(body for body, _ in bodies),
            octets(each for _, each in bodies),
            numbers([p.attempts for p in deliveries]),
            texts(text_of(p.history) if p.history else "[]" for p in deliveries),
            numbers([p.dead_letter or 0 for p in deliveries]),
            state,
            due_at,
            owner,
        )
        return _Numbers(self._line, numbered)

    async def due(self, consumer: str, now: float, limit: int, *, run: bool) -> list[Parked]:
        if run:
            self._look_by_index()
        found = [begun(row) for row in await self._line.rows(SQL["parked_due"], consumer, now, limit)]
        if run and found:
            self._line.post(SQL["parked_run"], self._member, numbers([parked.id for parked in found]))
        return found

    async def postpone(self, parked: Parked, due_at: float) -> None:
        self._line.post(SQL["parked_postpone"], due_at, parked.attempts, text_of(parked.history), parked.id)

    async def settle(self, parked: Sequence[Parked], outcome: Literal["handled", "dead"], at: float) -> None:
        line, ids = self._line, numbers([p.id for p in parked])
        # What was handled at the first attempt leaves nothing to look back on; the rest stays until it is trimmed.
        if outcome == "handled":
            self._look_by_index()
            line.post(SQL["parked_forget"], ids)
        line.post(SQL["parked_settle"], outcome, at, ids)
        if outcome == "handled" and (letters := [p.dead_letter for p in parked if p.dead_letter is not None]):
            line.post(SQL["dead_letters_resolved"], at, numbers(letters))
        keys: defaultdict[str, set[str]] = defaultdict(set)
        for p in parked:
            if p.key is not None:
                keys[p.consumer].add(indexed(p.key))
        for consumer, settled in keys.items():
            line.post(SQL["parked_promote"], consumer, texts(sorted(settled)), at)

    async def running(self, ids: Sequence[int]) -> set[int]:
        return {number for (number,) in await self._line.rows(SQL["parked_running"], numbers(ids), self._member)}

    async def owned(self, consumer: str) -> list[Parked]:
        return [parked_of(row) for row in await self._line.rows(SQL["parked_owned"], consumer, self._member)]

    async def give_back(self, parked: Sequence[Parked], now: float) -> None:
        self._line.post(SQL["parked_give_back"], now, numbers([p.id for p in parked]), self._member)

    async def hold(self, parked: Parked, letter: int) -> None:
        """Keep a dead delivery in its key's way until its letter is redriven or discarded."""
        if parked.id:
            self._line.post(SQL["parked_hold"], letter, parked.attempts, text_of(parked.history), parked.id)
        else:
            await self._park([msgspec.structs.replace(parked, dead_letter=letter)], "held", None, None)

    def _look_by_index(self) -> None:
        """From here to the end of the transaction. Not before a reaction's own statements, which may need other plans:
        claiming has none, and what is handled is settled after them.
        """
        if not self._by_index:
            self._by_index = True
            self._line.post(SQL["parked_by_index"])


class _Numbers:
    """The numbers that were given to what was parked, in order. Nobody need ask."""

    def __init__(self, line: Line, numbered: asyncio.Future[PGresult] | None) -> None:
        self._line = line
        self._numbered = numbered

    def __await__(self) -> Generator[Any, None, list[int]]:
        if self._numbered is None:
            return []
        result = yield from self._numbered.__await__()
        return sorted(number for (number,) in self._line.decoded(result))


async def _some(answer: Awaitable[PGresult]) -> bool:
    return (await answer).ntuples > 0
