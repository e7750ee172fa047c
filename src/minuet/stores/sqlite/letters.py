"""The dead letters of a SQLite store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from minuet.databases.json_columns import headers_text, text_of
from minuet.ports.deliveries import DeadLetter, Parked, handed_back
from minuet.stores.sqlite.parking import SqliteParking
from minuet.stores.sqlite.rows import SQL, dead_letter_of


class SqliteDeadLetters:
    """Deliveries given up on."""

    def __init__(self, connection: sqlite3.Connection, parking: SqliteParking, wake_others: Callable[[], None]) -> None:
        self._connection = connection
        self._parking = parking
        self._wake_others = wake_others

    async def bury(self, letter: DeadLetter, *, hold: Parked | None = None) -> int:
        d, execute = letter, self._connection.execute
        if d.id:
            execute(
                SQL["bury_again"],
                (d.reason, d.error, d.trace, d.attempts, text_of(d.history), d.at, d.at, d.id),
            )
            number = d.id
        else:
            row = (
                d.consumer, d.topic, d.key, d.event_id, d.source, d.correlation_id, d.type, headers_text(d.headers),
                d.body, d.reason, d.error, d.trace, d.attempts, text_of(d.history), d.at, d.at,
            )  # fmt: skip
            number = execute(SQL["bury"], row).lastrowid or 0
        if hold is not None:
            self._parking.hold(hold, number)
        return number

    async def find(self, ids: Sequence[int]) -> list[DeadLetter]:
        rows = self._connection.execute(SQL["dead_letters_by_id"], (text_of(ids),)).fetchall()
        return [dead_letter_of(row) for row in rows]

    async def redrive(self, letter: DeadLetter, now: float) -> bool:
        if not self._leave_open(letter, "redriven", now):
            return False
        headers = headers_text(letter.headers)
        held = self._connection.execute(SQL["parked_held"], (letter.id,)).fetchone()
        if held is not None:
            self._connection.execute(SQL["parked_release_held"], (now, letter.body, headers, held[0]))
        else:
            parked = handed_back(letter)
            blocked = letter.key is not None and await self._parking.blocked(letter.consumer, [letter.key])
            if blocked:
                await self._parking.park([parked], state="behind")
            else:
                await self._parking.park([parked], state="due", due_at=now)
        return True

    async def discard(self, letter: DeadLetter, now: float) -> bool:
        if not self._leave_open(letter, "discarded", now):
            return False
        held = self._connection.execute(SQL["parked_held"], (letter.id,)).fetchone()
        if held is not None:
            await self._parking.settle([handed_back(letter, id=int(held[0]))], "dead", now)
        return True

    def _leave_open(self, letter: DeadLetter, state: str, now: float) -> bool:
        self._wake_others()
        values = {
            "id": letter.id, "state": state, "difference": letter.difference, "because": letter.because, "at": now,
        }  # fmt: skip
        return self._connection.execute(SQL["dead_letter_leave_open"], values).rowcount == 1
