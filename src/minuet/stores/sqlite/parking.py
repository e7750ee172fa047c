"""The parked deliveries of a SQLite store."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import msgspec

from minuet.databases.json_columns import headers_text, text_of
from minuet.databases.sqlite import Database
from minuet.ports.store import Parked
from minuet.stores.sqlite.rows import SQL, begun, listings, parked_of


class SqliteParking:
    """Deliveries that wait or run."""

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self._connection = connection
        self._database = database

    async def busy(self, consumer: str) -> bool:
        return self._connection.execute(SQL["parked_busy"], (consumer,)).fetchone() is not None

    async def blocked(self, consumer: str, keys: Sequence[str]) -> set[str]:
        return {
            str(key)
            for listed, whole in listings(keys)
            for (key,) in self._connection.execute(
                SQL["parked_blocked"], {"consumer": consumer, "listed": listed, "whole": whole}
            )
        }

    async def behind(self, consumer: str, now: float, most: int) -> int:
        values = {"consumer": consumer, "now": now, "most": most}
        [(count,)] = self._connection.execute(SQL["parked_behind"], values).fetchall()
        return int(count)

    async def park(
        self,
        deliveries: Sequence[Parked],
        *,
        state: Literal["due", "behind", "running"],
        due_at: float | None = None,
    ) -> list[int]:
        if not deliveries:
            return []
        owner = self._database.member if state == "running" else None
        self._connection.executemany(SQL["park"], [_row(parked, state, due_at, owner) for parked in deliveries])
        [(last,)] = self._connection.execute(SQL["last_parked"]).fetchall()
        return list(range(last - len(deliveries) + 1, last + 1))

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
        ids = [p.id for p in parked]
        # What was handled at the first attempt leaves nothing to look back on; the rest stays until it is trimmed.
        forgotten = 0
        if outcome == "handled":
            forgotten = execute(SQL["parked_forget"], (text_of(ids),)).rowcount
        if forgotten < len(ids):
            execute(SQL["parked_settle"], {"ids": text_of(ids), "state": outcome, "at": at})
        if outcome == "handled" and (letters := [p.dead_letter for p in parked if p.dead_letter is not None]):
            execute(SQL["dead_letters_resolved"], {"ids": text_of(letters), "at": at})
        keys: defaultdict[str, list[str]] = defaultdict(list)
        for p in parked:
            if p.key is not None:
                keys[p.consumer].append(p.key)
        for consumer, settled in keys.items():
            for listed, whole in listings(settled):
                values = {"consumer": consumer, "listed": listed, "whole": whole, "at": at}
                execute(SQL["parked_promote"], values)

    async def running(self, ids: Sequence[int]) -> set[int]:
        values = {"ids": text_of(list(ids)), "owner": self._database.member}
        return {int(number) for (number,) in self._connection.execute(SQL["parked_running"], values).fetchall()}

    async def owned(self, consumer: str) -> list[Parked]:
        rows = self._connection.execute(SQL["parked_owned"], (consumer, self._database.member)).fetchall()
        return [parked_of(row) for row in rows]

    async def give_back(self, parked: Sequence[Parked], now: float) -> None:
        member = self._database.member
        self._connection.executemany(SQL["parked_give_back"], [(now, p.id, member) for p in parked])

    def hold(self, parked: Parked, letter: int) -> None:
        """Keep a dead delivery in its key's way until its letter is redriven or discarded."""
        if parked.id:
            self._connection.execute(SQL["parked_hold"], (letter, parked.attempts, text_of(parked.history), parked.id))
        else:
            held = msgspec.structs.replace(parked, dead_letter=letter)
            self._connection.execute(SQL["park"], _row(held, "held", None, None))


def _row(p: Parked, state: str, due_at: float | None, owner: str | None) -> tuple[object, ...]:
    """The columns of a delivery that is parked."""
    return (
        p.consumer, p.topic, p.key, p.event_id, p.source, headers_text(p.headers), p.body,
        p.attempts, text_of(p.history) if p.history else "[]", p.dead_letter, state, due_at, owner,
    )  # fmt: skip
