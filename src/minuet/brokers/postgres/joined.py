"""The PostgreSQL log as part of a store's transactions on the same database: all commits with the store's rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from minuet.brokers.postgres.log import READ_AHEAD, SQL, Place, append, delivery_of, place_of, reading
from minuet.databases.postgres import PostgresDatabase
from minuet.databases.postgres.borrowed import Changed, Sending
from minuet.databases.postgres.pipelining import Line, Row
from minuet.ports.broker import Delivery, Group, Message, never_provisioned
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

    answers_late: ClassVar[bool] = True

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._subscriptions: list[PostgresJoinedSubscription] = []

    def subscribe(self, group: Group, wake: Callable[[], None]) -> PostgresJoinedSubscription:
        subscription = PostgresJoinedSubscription(self._database, group, wake)
        self._subscriptions.append(subscription)
        return subscription

    def publish(self, unit: Emission, messages: Sequence[Message]) -> Awaitable[int]:
        if not messages:
            return _Absorbed(0, None)
        done = append(cast("_Emits", unit).line, messages)
        topics = {message.topic for message in messages}
        unit.after_commit(lambda: self.came(topics))
        unit.wake_others()
        return _Absorbed(len(messages), done)

    def came(self, topics: set[str]) -> None:
        """Messages of these topics were just committed by this process."""
        for subscription in self._subscriptions:
            subscription.offer(topics)


class _Absorbed:
    """Says how many of so many messages the log had before. Nobody need ask."""

    def __init__(self, count: int, done: Awaitable[Changed] | None) -> None:
        self._count = count
        self._done = done

    def __await__(self) -> Generator[Any, None, int]:
        if self._done is None:
            return 0
        changed = yield from self._done.__await__()
        return self._count - (changed.command_tuples or 0)


class PostgresJoinedSubscription:
    """One group's stream inside a store's transactions.

    `_ahead` holds deliveries that follow `_position`, each with its place. The position in the database decides, under
    its lock: when another process has moved it, what was read ahead is dropped. `_unseen` says that there may be more
    than was read; `_offered`, that this process has published some of it; `_uncertain`, that a taking has not
    committed; `_waits`, that there was more, which a transaction before it kept from being read.
    """

    def __init__(self, database: PostgresDatabase, group: Group, wake: Callable[[], None]) -> None:
        self._database = database
        self._group = group
        self._topics = frozenset(group.topics)
        self._ahead: list[tuple[Place, Delivery]] = []
        self._position: Place = (-1, -1)
        self._unseen = True
        self._offered = False
        self._uncertain = False
        self._waits = False
        self._wake = wake
        self._entered: tuple[Unit, asyncio.Future[PGresult]] | None = None
        database.listen(self._told)

    def __repr__(self) -> str:
        return f"<PostgresJoinedSubscription {self._group.name} at {self._position}, {len(self._ahead)} ahead>"

    def offer(self, topics: set[str]) -> None:
        """See `came`."""
        if not self._topics.isdisjoint(topics):
            self._offered = True
            self._told()

    def _told(self) -> None:
        self._unseen = True
        self._wake()

    async def ready(self) -> bool:
        if self._uncertain:
            self._ahead = []
            self._unseen = True
        elif self._offered and not self._waits and not self._database.under_way:
            return True  # what this process has published is read in the transaction that takes it
        if not self._ahead and self._unseen:
            self._unseen = self._offered = False
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
                rows, waits = await self._read(line, self._ask(line))
                if rows or not waits:
                    break
                await asyncio.sleep(pause)
            if waits and not rows and await self._database.horizon.widened(line):
                rows, waits = await self._read(line, self._ask(line))
        self._uncertain, self._waits = False, waits
        if rows:
            self._position = (rows[0][14], rows[0][15])
            self._extend(rows)
        elif waits:
            self._unseen = True
        self._database.horizon.look_soon(pending=waits)

    def _ask(self, line: Line) -> asyncio.Future[PGresult]:
        """Ask what follows the position, and whether there is more that cannot be read yet."""
        return line.send(*reading("read", self._database.horizon.elsewhere, self._group.name, READ_AHEAD))

    async def _read(self, line: Line, asked: asyncio.Future[PGresult]) -> tuple[list[Row], bool]:
        rows = line.decoded(await asked)
        waits = bool(rows and rows[0][16])
        return ([] if rows and rows[0][12] is None else rows), waits

    def _extend(self, rows: Sequence[Row]) -> None:
        self._ahead = [(place_of(row), delivery_of(row)) for row in rows]
        self._unseen = self._unseen or len(rows) == READ_AHEAD

    async def enter(self, unit: Unit) -> None:
        self._entered = (unit, self._lock(unit))

    def _lock(self, unit: Unit) -> asyncio.Future[PGresult]:
        return _line(unit).send(SQL["lock"], self._group.name)

    def take(self, unit: Unit, limit: int) -> Awaitable[Sequence[Delivery]]:
        entered, self._entered = self._entered, None
        locked = entered[1] if entered is not None and entered[0] is unit else self._lock(unit)
        asked = None
        if self._uncertain or not self._ahead:
            self._unseen = self._offered = False
            asked = self._ask(_line(unit))
        return self._take(unit, limit, locked, asked)

    async def _take(
        self,
        unit: Unit,
        limit: int,
        locked: asyncio.Future[PGresult],
        asked: asyncio.Future[PGresult] | None,
    ) -> Sequence[Delivery]:
        line = _line(unit)
        try:
            position = self._place_in(line.decoded(await locked))
            if asked is None and position != self._position:
                self._unseen = self._offered = False
                asked = self._ask(line)
            if asked is not None:
                rows, self._waits = await self._read(line, asked)
                self._position = position
                self._extend(rows)
                # What was published since this transaction began may be younger than it, and is not read in it.
                self._unseen = self._unseen or self._waits
        except BaseException:
            self._unseen = True  # what was asked was not heard
            raise
        taken, self._ahead = self._ahead[:limit], self._ahead[limit:]
        if not taken:
            return ()
        self._uncertain = True
        unit.after_commit(self._committed)
        self._position = taken[-1][0]
        line.post(SQL["move"], self._group.name, str(self._position[0]), self._position[1])
        return [delivery for _, delivery in taken]

    def _place_in(self, found: Sequence[Row]) -> Place:
        if not found:
            raise never_provisioned(self._group, self._database.place.shown)
        return (found[0][0], found[0][1])

    def _committed(self) -> None:
        self._uncertain = False
