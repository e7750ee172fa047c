"""The PostgreSQL log as part of a store's transactions on the same database: all commits with the store's rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from minuet.brokers.postgres.log import READ_AHEAD, SQL, Place, append, delivery_of, place_of
from minuet.databases.postgres import PostgresDatabase
from minuet.databases.postgres.borrowed import Sending
from minuet.databases.postgres.encoding import texts
from minuet.databases.postgres.pipelining import Line, Row
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Delivery, Group, Message
from minuet.ports.store import Emission, Unit

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

PAUSES = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016)
"""How long to wait, a few times, for a transaction that is older than what there is to read and is mostly over soon."""


class _Emits(Protocol):
    """What the joined half knows of a transaction in which events are emitted."""

    line: Sending


class _OnLine(Protocol):
    """What the joined half knows of a PostgreSQL store's unit."""

    line: Line


def _line(unit: Unit) -> Line:
    return cast("_OnLine", unit).line


class PostgresJoinedBroker:
    """The log as part of a store's transactions on the same database."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._subscriptions: list[PostgresJoinedSubscription] = []

    def subscribe(self, group: Group, wake: Callable[[], None]) -> PostgresJoinedSubscription:
        subscription = PostgresJoinedSubscription(self._database, group, wake)
        self._subscriptions.append(subscription)
        return subscription

    async def publish(self, unit: Emission, messages: Sequence[Message]) -> int:
        if not messages:
            return 0
        done = append(cast("_Emits", unit).line, messages)
        topics = {message.topic for message in messages}

        def committed() -> None:
            for subscription in self._subscriptions:
                subscription.offer(topics)

        unit.after_commit(committed)
        unit.wake_others()
        return len(messages) - ((await done).command_tuples or 0)


class PostgresJoinedSubscription:
    """One group's stream inside a store's transactions.

    `_ahead` holds deliveries that follow `_position`, each with its place. The position in the database decides, under
    its lock: when another process has moved it, what was read ahead is dropped. `_unseen` says that there may be more
    than was read; `_uncertain`, that a taking has not committed.
    """

    def __init__(self, database: PostgresDatabase, group: Group, wake: Callable[[], None]) -> None:
        self._database = database
        self._group = group
        self._topics = frozenset(group.topics)
        self._listed = texts(group.topics)
        self._ahead: list[tuple[Place, Delivery]] = []
        self._position: Place = (-1, -1)
        self._unseen = True
        self._uncertain = False
        self._wake = wake
        self._entered: tuple[Unit, asyncio.Future[PGresult]] | None = None
        database.listen(self._told)

    def __repr__(self) -> str:
        return f"<PostgresJoinedSubscription {self._group.name} at {self._position}, {len(self._ahead)} ahead>"

    def offer(self, topics: set[str]) -> None:
        """Messages of these topics were just committed by this process."""
        if not self._topics.isdisjoint(topics):
            self._told()

    def _told(self) -> None:
        self._unseen = True
        self._wake()

    async def ready(self) -> bool:
        if self._uncertain:
            self._ahead = []
            self._unseen = True
        if not self._ahead and self._unseen:
            self._unseen = False
            try:
                await self._look()
            except BaseException:
                self._unseen = True
                raise
        return bool(self._ahead)

    async def _look(self) -> None:
        rows, waits = list[Row](), False
        async with self._database.line() as line:
            for pause in PAUSES:
                pending = line.send(SQL["pending"], self._group.name)
                rows = await line.rows(SQL["read"], self._group.name, READ_AHEAD)
                [(waits,)] = line.decoded(await pending)
                if rows or not waits:
                    break
                await asyncio.sleep(pause)
        self._uncertain = False
        if rows:
            self._position = (rows[0][14], rows[0][15])
            self._extend(rows)
        elif waits:
            self._unseen = True
        self._database.look_soon(pending=waits)

    def _extend(self, rows: Sequence[Row]) -> None:
        self._ahead = [(place_of(row), delivery_of(row)) for row in rows]
        self._unseen = self._unseen or len(rows) == READ_AHEAD

    async def enter(self, unit: Unit) -> None:
        self._entered = (unit, _line(unit).send(SQL["lock"], self._group.name))

    async def take(self, unit: Unit, limit: int) -> Sequence[Delivery]:
        line = _line(unit)
        entered, self._entered = self._entered, None
        locked = entered[1] if entered is not None and entered[0] is unit else line.send(SQL["lock"], self._group.name)
        found = line.decoded(await locked)
        if not found:
            raise BrokerUnavailable(f"The group {self._group.name} was never provisioned. Provision it first.")
        position: Place = (found[0][0], found[0][1])
        if self._uncertain or position != self._position:
            self._ahead = []
            self._position = position
        if not self._ahead:
            rows = await self._read(line, position)
            self._extend(rows)
            if not rows:
                # This transaction itself may be older than what there is to read.
                self._unseen = True
                return ()
        taken, self._ahead = self._ahead[:limit], self._ahead[limit:]
        self._uncertain = True
        unit.after_commit(self._committed)
        if not self._ahead:
            self._unseen = True
        if taken:
            self._position = taken[-1][0]
            line.post(SQL["move"], self._group.name, str(self._position[0]), self._position[1])
        return [delivery for _, delivery in taken]

    async def _read(self, line: Line, position: Place) -> list[Row]:
        rows: list[Row] = []
        for pause in PAUSES:
            rows = await line.rows(SQL["read_after"], self._listed, READ_AHEAD, *position)
            if rows or not await line.rows(SQL["pending_before"], self._group.name):
                break
            await asyncio.sleep(pause)
        return rows

    def _committed(self) -> None:
        self._uncertain = False
