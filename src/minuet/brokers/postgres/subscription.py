"""One group's stream of a PostgreSQL log outside a store's transaction: claimed, then acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from minuet.brokers.postgres.log import READ_AHEAD, SQL, delivery_of, place_of, reading
from minuet.databases.postgres import Committed, PostgresDatabase
from minuet.databases.postgres.encoding import given_back, numbers, texts
from minuet.databases.postgres.pipelining import Line
from minuet.errors import BrokerClosed
from minuet.ports.broker import Delivery, Group, never_provisioned

LOOK_SECONDS = 0.25
"""How soon what a dead process held comes to a subscription that waits."""


class PostgresSubscription:
    """One group's stream outside a store's transaction: claimed, then acknowledged."""

    def __init__(
        self, database: PostgresDatabase, group: Group, owner: str, siblings: list[PostgresSubscription]
    ) -> None:
        self._database = database
        self._group = group
        self._topics = texts(group.topics)
        self.owner = owner
        self._siblings = siblings
        self._closed = False
        self._others_hold = False
        self._kept: list[Delivery] = []
        """Claimed for a `receive` that was cancelled before it could return them."""
        self.changed = asyncio.Event()
        self._stop_listening = database.listen(self.changed.set)

    def __repr__(self) -> str:
        return f"<PostgresSubscription {self._group.name}, {'closed' if self._closed else 'open'}>"

    async def receive(self, limit: int) -> Sequence[Delivery]:
        while not self._closed:
            self.changed.clear()
            if self._kept:
                found, self._kept = self._kept[:limit], self._kept[limit:]
                return found
            if found := await self._claim(limit):
                return found
            # Nobody rings for a process that died; what it held is looked for as long as somebody holds something.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._others_hold else None):
                    await self.changed.wait()
        raise BrokerClosed(f"The subscription of {self._group.name} is closed; nothing more will be received.")

    async def _claim(self, limit: int) -> list[Delivery]:
        name, found = self._group.name, list[Delivery]()
        claims = await self._database.read(SQL["claims"], name)
        owners = {str(owner) for *_, owner in claims if owner is not None}
        dead = await self._dead(owners)
        try:
            async with self._database.writing() as line:
                known = await line.rows(SQL["lock"], name)
                if not known:
                    raise never_provisioned(self._group, self._database.place.shown)
                [position] = known
                claims = await line.rows(SQL["claims"], name)
                held = [(key, owner) for _, key, owner in claims if owner not in (None, self.owner, *dead)]
                blocked: set[str] = {key for key, _ in held if key is not None}
                mine_begins = f"{self._database.member}/"
                self._others_hold = any(not owner.startswith(mine_begins) for _, owner in held)
                free = [(seq, key) for seq, key, owner in claims if owner is None or owner in dead]
                mine = [seq for seq, key in free if key not in blocked][:limit]
                if mine:
                    line.post(SQL["claim_again"], self.owner, name, numbers(mine))
                    found += map(delivery_of, await line.rows(SQL["read_claimed"], numbers(mine)))
                if len(found) < limit:
                    room = READ_AHEAD - (len(free) - len(mine))
                    found += await self._claim_new(line, (position[0], position[1]), limit - len(found), blocked, room)
        except Committed:
            self._kept += found
            raise
        return found

    async def _dead(self, owners: set[str]) -> set[str]:
        members = {owner: owner.partition("/")[0] for owner in owners}
        gone = await self._database.dead(set(members.values()))
        mine = {sibling.owner for sibling in self._siblings}
        return {
            owner
            for owner, member in members.items()
            if member in gone or (member == self._database.member and owner not in mine)
        }

    async def _claim_new(
        self, line: Line, position: tuple[int, int], limit: int, blocked: set[str], room: int
    ) -> list[Delivery]:
        """Claim what nobody has had; what is of a blocked key waits its turn, as much of it as there is `room` for."""
        name, horizon = self._group.name, self._database.horizon
        found: list[Delivery] = []
        while len(found) < limit and room > 0:
            wanted = (self._topics, limit - len(found), *position)
            rows = await line.rows(*reading("read_after", horizon.elsewhere, *wanted))
            if not rows:
                # In this order: what held rows back and ends meanwhile is either seen here or its rows are read.
                asked = line.send(*reading("pending", horizon.elsewhere, name))
                rows = await line.rows(*reading("read_after", horizon.elsewhere, *wanted))
                [(pending,)] = line.decoded(await asked)
                if pending and not rows and await horizon.widened(line):
                    continue
                horizon.look_soon(pending=pending)
            if not rows:
                break
            # A key as its row has it: the claims' keys are compared in that form.
            free = [row for row in rows if row[1] is None or row[1] not in blocked]
            waiting = [row for row in rows if row[1] is not None and row[1] in blocked]
            for some, owner in ((free, self.owner), (waiting, None)):
                seqs, keys = [row[12] for row in some], [None if row[1] is None else given_back(row[1]) for row in some]
                line.post(SQL["claim"], name, numbers(seqs), numbers([row[13] for row in some]), texts(keys), owner)
            position = place_of(rows[-1])
            line.post(SQL["move"], name, str(position[0]), position[1])
            found += map(delivery_of, free)
            room -= len(waiting)
        return found

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        await self._end(SQL["acknowledge"], deliveries)

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        await self._end(SQL["release"], deliveries)

    async def _end(self, sql: str, deliveries: Sequence[Delivery]) -> None:
        async with self._database.writing(wakes=True) as line:
            line.post(sql, self._group.name, numbers([d.token for d in deliveries]), self.owner)
        self._ring()

    def _ring(self) -> None:
        for sibling in self._siblings:
            sibling.changed.set()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stop_listening()
        self._siblings.remove(self)
        async with self._database.writing(wakes=True) as line:
            line.post(SQL["release_all"], self._group.name, self.owner)
        self.changed.set()
        self._ring()
