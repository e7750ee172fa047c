"""One group's stream of a SQLite log outside a store's transaction: claimed, then acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence

from minuet.brokers.sqlite.log import READ_AHEAD, SQL, delivery_of, position_of
from minuet.databases.json_columns import text_of
from minuet.databases.sqlite import Database
from minuet.errors import BrokerClosed
from minuet.ports.broker import Delivery, Group

LOOK_SECONDS = 0.25
"""How soon what a dead process held comes to a subscription that waits."""


class SqliteSubscription:
    """One group's stream outside a store's transaction: claimed, then acknowledged."""

    def __init__(self, database: Database, group: Group, owner: str, siblings: list[SqliteSubscription]) -> None:
        self._database = database
        self._group = group
        self._topics = text_of(group.topics)
        self.owner = owner
        self._siblings = siblings
        self._closed = False
        self._others_hold = False
        self._claiming: asyncio.Task[list[Delivery]] | None = None
        """A claim under way. It goes on when its `receive` is cancelled, and is the next one's."""
        self._kept: list[Delivery] = []
        """Claimed, and more than the next `receive` asked for."""
        self.changed = asyncio.Event()
        self._stop_listening = database.listen(self.changed.set)

    def __repr__(self) -> str:
        return f"<SqliteSubscription {self._group.name}, {'closed' if self._closed else 'open'}>"

    async def receive(self, limit: int) -> Sequence[Delivery]:
        while not self._closed:
            self.changed.clear()
            if found := await self._claimed(limit):
                self._kept = found[limit:]
                return found[:limit]
            # Nobody rings for a process that died; what it held is looked for as long as somebody holds something.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._others_hold else None):
                    await self.changed.wait()
        raise BrokerClosed(f"The subscription of {self._group.name} is closed; nothing more will be received.")

    async def _claimed(self, limit: int) -> list[Delivery]:
        if self._kept:
            return self._kept
        if self._claiming is None:
            self._claiming = asyncio.create_task(self._claim(limit))
        claiming = self._claiming
        try:
            return await asyncio.shield(claiming)
        finally:
            if claiming.done():
                self._claiming = None
                if not claiming.cancelled() and claiming.exception() is None:
                    self._kept = claiming.result()

    async def _claim(self, limit: int) -> list[Delivery]:
        name = self._group.name
        async with self._database.writing() as connection:
            claims = connection.execute(SQL["claims"], (name,)).fetchall()
            dead = {owner for *_, owner in claims if owner is not None and not self._alive(owner)}
            elsewhere = [(key, owner) for _, key, owner in claims if owner not in (None, self.owner, *dead)]
            blocked: set[str] = {key for key, _ in elsewhere if key is not None}
            self._others_hold = any(not owner.startswith(f"{self._database.member}/") for _, owner in elsewhere)
            free = [(seq, key) for seq, key, owner in claims if owner is None or owner in dead]
            mine = [seq for seq, key in free if key not in blocked][:limit]
            connection.executemany(SQL["claim_again"], [(self.owner, name, seq) for seq in mine])
            found = [delivery_of(row) for row in connection.execute(SQL["read_claimed"], (text_of(mine),)).fetchall()]
            if len(found) < limit:
                room = READ_AHEAD - (len(free) - len(mine))
                found += self._claim_new(connection, limit - len(found), blocked, room)
        return found

    def _claim_new(self, connection: sqlite3.Connection, limit: int, blocked: set[str], room: int) -> list[Delivery]:
        """Claim what nobody has had; what is of a blocked key waits its turn, as much of it as there is `room` for."""
        name = self._group.name
        position = position_of(connection, self._group, self._database)
        found: list[Delivery] = []
        while len(found) < limit and room > 0:
            rows = connection.execute(SQL["read"], (position, self._topics, limit - len(found))).fetchall()
            if not rows:
                break
            deliveries = [delivery_of(row) for row in rows]
            free = [d for d in deliveries if d.key is None or d.key not in blocked]
            waiting = [d for d in deliveries if d.key is not None and d.key in blocked]
            connection.executemany(SQL["claim"], [(name, d.token, d.key, self.owner) for d in free])
            connection.executemany(SQL["claim"], [(name, d.token, d.key, None) for d in waiting])
            position = deliveries[-1].token
            connection.execute(SQL["move"], (position, name))
            found += free
            room -= len(waiting)
        return found

    def _alive(self, owner: str) -> bool:
        member, _, _ = owner.partition("/")
        if member != self._database.member:
            return self._database.alive(member)
        return any(sibling.owner == owner for sibling in self._siblings)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        await self._end(SQL["acknowledge"], deliveries)

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        await self._end(SQL["release"], deliveries)

    async def _end(self, sql: str, deliveries: Sequence[Delivery]) -> None:
        async with self._database.writing() as connection:
            connection.executemany(sql, [(self._group.name, d.token, self.owner) for d in deliveries])
        for sibling in self._siblings:
            sibling.changed.set()
        self._database.wake_neighbours()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stop_listening()
        self._siblings.remove(self)
        if self._claiming is not None:
            await asyncio.wait([self._claiming])
        async with self._database.writing() as connection:
            connection.execute(SQL["release_all"], (self._group.name, self.owner))
        self.changed.set()
        for sibling in self._siblings:
            sibling.changed.set()
