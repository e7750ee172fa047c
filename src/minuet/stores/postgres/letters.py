"""The dead letters of a PostgreSQL store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from minuet.databases.json_columns import headers_text, text_of
from minuet.databases.postgres.encoding import indexed_or_none, kept, numbers
from minuet.databases.postgres.pipelining import Line
from minuet.ports.deliveries import DeadLetter, Parked, handed_back
from minuet.stores.postgres.parking import PostgresParking
from minuet.stores.postgres.rows import SQL, body_in_two, dead_letter_of, safe


class PostgresDeadLetters:
    """Deliveries given up on."""

    def __init__(self, line: Line, parking: PostgresParking, wake_others: Callable[[], None]) -> None:
        self._line = line
        self._parking = parking
        self._wake_others = wake_others

    async def bury(self, letter: DeadLetter, *, hold: Parked | None = None) -> int:
        d, line = letter, self._line
        said = (d.reason, safe(d.error), safe(d.trace), d.attempts, safe(text_of(d.history)), d.at)
        if d.id:
            line.post(SQL["bury_again"], *said, d.id)
            number = d.id
        else:
            chosen = (indexed_or_none(name) for name in (d.key, d.event_id, d.source, d.correlation_id))
            names = (d.consumer, d.topic, *chosen, d.type)
            texts = (None if name is None else kept(name) for name in names)
            [(number,)] = await line.rows(SQL["bury"], *texts, headers_text(d.headers), *body_in_two(d.body), *said)
        if hold is not None:
            await self._parking.hold(hold, number)
        return int(number)

    async def find(self, ids: Sequence[int]) -> list[DeadLetter]:
        return [dead_letter_of(row) for row in await self._line.rows(SQL["dead_letters_by_id"], numbers(ids))]

    async def redrive(self, letter: DeadLetter, now: float) -> bool:
        if not await self._leave_open(letter, "redriven", now):
            return False
        held = await self._line.rows(SQL["parked_held"], letter.id)
        if held:
            body = body_in_two(letter.body)
            self._line.post(SQL["parked_release_held"], now, *body, headers_text(letter.headers), held[0][0])
            return True
        parked = handed_back(letter)
        if letter.key is not None and await self._parking.blocked(letter.consumer, [letter.key]):
            await self._parking.park([parked], state="behind")
        else:
            await self._parking.park([parked], state="due", due_at=now)
        return True

    async def discard(self, letter: DeadLetter, now: float) -> bool:
        if not await self._leave_open(letter, "discarded", now):
            return False
        held = await self._line.rows(SQL["parked_held"], letter.id)
        if held:
            await self._parking.settle([handed_back(letter, id=int(held[0][0]))], "dead", now)
        return True

    async def _leave_open(self, letter: DeadLetter, state: str, now: float) -> bool:
        self._wake_others()
        said = [None if text is None else safe(text) for text in (letter.difference, letter.because)]
        return await self._line.changed(SQL["dead_letter_leave_open"], state, *said, now, letter.id) == 1
