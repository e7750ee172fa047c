"""The parked deliveries of a SQLite store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Literal

import msgspec

from minuet.databases.sqlite import Database
from minuet.ports.store import Parked
from minuet.stores.sqlite.rows import SQL, begun, headers_text, text_of


class SqliteParking:
    """Deliveries that wait or run."""

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self._connection = connection
        self._database = database

    async def busy(self, consumer: str) -> bool:
        return self._connection.execute(SQL["parked_busy"], (consumer,)).fetchone() is not None

    async def blocked(self, consumer: str, keys: Sequence[str]) -> set[str]:
        found = self._connection.execute(SQL["parked_blocked"], {"consumer": consumer, "keys": text_of(keys)})
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
            p.consumer, p.topic, p.key, p.event_id, p.source, headers_text(p.headers), p.body,
            p.attempts, text_of(p.history) if p.history else "[]", p.dead_letter, state, due_at, owner,
        )  # fmt: skip
        number = self._connection.execute(SQL["park"], row).lastrowid
        assert number is not None
        return number

    async def due(self, consumer: str, now: float, limit: int, *, run: bool) -> list[Parked]:
        rows = self._connection.execute(SQL["parked_due"], (consumer, now, limit)).fetchall()
        found = [begun(row) for row in rows]
        if run:
            self._connection.executemany(SQL["parked_run"], [(self._database.member, p.id) for p in found])
        return found

    async def postpone(self, parked: Parked, due_at: float) -> None:
        self._connection.execute(SQL["parked_postpone"], (due_at, parked.attempts, text_of(parked.history), parked.id))

    async def settle(self, parked: Sequence[Parked], outcome: Literal["handled", "dead"], at: float) -> None:
        execute = self._connection.execute
        for p in parked:
            if outcome == "dead" or execute(SQL["parked_forget"], (p.id,)).rowcount == 0:
                execute(SQL["parked_settle"], (outcome, at, p.id))
            if outcome == "handled" and p.dead_letter is not None:
                execute(SQL["dead_letter_state"], {"id": p.dead_letter, "state": "resolved", "at": at})
            if p.key is not None:
                execute(SQL["parked_promote"], {"consumer": p.consumer, "key": p.key, "at": at})

    async def running(self, ids: Sequence[int]) -> set[int]:
        values = {"ids": text_of(list(ids)), "owner": self._database.member}
        return {int(number) for (number,) in self._connection.execute(SQL["parked_running"], values).fetchall()}

    async def give_back(self, parked: Sequence[Parked], now: float) -> None:
        self._connection.executemany(SQL["parked_give_back"], [(now, p.id) for p in parked])

    def hold(self, parked: Parked, letter: int) -> None:
        """Keep a dead delivery in its key's way until its letter is redriven or discarded."""
        if parked.id:
            self._connection.execute(SQL["parked_hold"], (letter, parked.attempts, text_of(parked.history), parked.id))
        else:
            self._insert(msgspec.structs.replace(parked, dead_letter=letter), "held", None, None)
