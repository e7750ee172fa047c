"""The relay: what the outbox owes goes to the broker, in order, in batches, outside any transaction.

A broker that is away loses nothing: rows keep their place. A broker that refuses one message holds up that message and
those of its key alone: it stays owed, is said each time, and is tried again, later each time. One that refuses many of
a topic, or one before many of its key, holds up that topic alone, of which one message is tried from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from minuet.errors import BrokerUnavailable, MessagesRefused
from minuet.ports.broker import Broker
from minuet.ports.clock import Chance
from minuet.ports.observer import Point, Turn
from minuet.ports.store import CLAIM_BYTES, LEASE_SECONDS, Owed, Store
from minuet.runtime.feed import RECONNECT
from minuet.runtime.held import Held
from minuet.runtime.observing import Observers
from minuet.runtime.refusals import Behind, Refusals

BATCH = 256
"""How many messages are claimed together at most."""
SWEEP_SECONDS = 5.0
"""How often it looks although nobody told it to: what a relay held that has stopped is free when its lease ends."""


class Relay:
    """Publishes one store's outbox. Relays of several processes take turns, never the same row."""

    def __init__(
        self,
        store: Store,
        broker: Broker,
        chance: Chance,
        observers: Observers,
        *,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.lease_seconds = lease_seconds
        self._store = store
        self._broker = broker
        self._chance = chance
        self._observers = observers
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._refusals = Refusals(chance)
        self._published: list[Owed] = []
        """With the broker, and not written down as such yet."""
        self._left: list[Owed] = []
        """Held, not published, and not given back yet."""
        self._ahead: list[Owed] = []
        """Held and to be published next."""
        self._born = Held()
        """Held from their birth."""
        self._series = 0
        """Counts how often what was held was given back."""
        self._late: list[Owed] = []
        """Held, and to be given back: of a series that is over."""
        self._looks = True
        """Whether there may be something to claim."""
        self._failures = 0
        """How often in a row nothing could be done."""

    def __repr__(self) -> str:
        return f"<Relay from {self._store!r} to {self._broker!r}, {self._refusals!r}>"

    def wake(self) -> None:
        """Something may be owed that is to be claimed."""
        self._looks = True
        self._changed.set()

    def series(self) -> int | None:
        """In which series this relay will take what is held from its birth; None while it is to be claimed."""
        return None if self._born.full or self._failures or self._refusals else self._series

    def hold(self, series: int, rows: Sequence[Owed]) -> None:
        """Publish these, which are held, next."""
        if series != self._series:
            self._late += rows
        else:
            self._born.add(rows)
        self._changed.set()

    def stop(self) -> None:
        """Publish what is owed now, then end."""
        self._stopping.set()
        self.wake()

    async def run(self) -> None:
        """Relay until stopped."""
        while True:
            try:
                if self._failures or self._late:
                    await self._write_down()
                if await self._step():
                    self._failures = 0
                elif self._stopping.is_set():
                    return
                elif not await _wait(self._changed, self._seconds_to_next()):
                    self._looks = True
            except Exception as error:  # whatever a client library raises: the relay must outlive it
                self._failures += 1
                self._looks = True
                self._observers.trouble(f"publishing from {self._store!r}", error)
                if self._stopping.is_set():
                    return
                await _wait(self._stopping, RECONNECT.delay(self._failures + 1, self._chance.random()))

    async def _step(self) -> bool:
        """Publish a batch, if there is one. Returns whether there was, or is one now."""
        self._changed.clear()
        if not self._left:
            self._left = self._next_born() or await self._claimed()
        ready, others = self._refusals.ready(self._left, _now())
        if others:
            self._changed.set()
        try:
            if ready:
                await self._publish_beside(ready)
        except BaseException:
            self._withdraw()
            raise
        finally:
            if self._left:
                self._withdraw()
            if not self._ahead and not self._born:
                await asyncio.shield(self._write_down())
        self._left, self._ahead = self._ahead, []
        return bool(ready or self._left or self._born or self._late)

    async def _publish_beside(self, rows: Sequence[Owed]) -> None:
        """Publish these, while the batch before is written down and the next one is claimed."""
        if not self._published and not self._looks:
            await self._publish(rows)
            return
        done = await asyncio.gather(self._publish(rows), self._pay(), self._claim_ahead(), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                raise error

    def _next_born(self) -> list[Owed]:
        """A batch of what is held from its birth; none when its lease may have ended: then it is given back."""
        if self._born.age_seconds > self.lease_seconds / 2:
            self._withdraw()
        return self._born.batch()

    def _withdraw(self) -> None:
        """Let go of all that is held, and begin another series."""
        self._late += [*self._ahead, *self._born.everything()]
        self._ahead = []
        self._series += 1
        self._looks = True

    async def _claimed(self) -> list[Owed]:
        if not self._looks:
            return []
        self._looks = False
        without = self._refusals.topics_held_up(_now())
        limit = BATCH + self._refusals.passed_over + len(self._left) + len(self._published)
        limit_bytes = CLAIM_BYTES + self._refusals.passed_over_bytes
        try:
            owed = await self._store.claim_owed(
                limit, lease_seconds=self.lease_seconds, without=without, limit_bytes=limit_bytes
            )
        except BaseException:
            self._looks = True
            raise
        self._looks = self._looks or bool(owed)
        return owed

    async def _claim_ahead(self) -> None:
        """Claim what was owed since the last claim. While anything is refused, one batch at a time."""
        if not self._refusals:
            self._ahead = await self._claimed()

    async def _write_down(self) -> None:
        """Say in the store what became of the rows that this relay holds."""
        await self._pay()
        await self._give_back()

    async def _pay(self) -> None:
        paid, self._published = self._published, []
        try:
            if paid:
                await self._store.paid(paid)
        except BaseException:
            self._published = paid + self._published
            raise

    async def _give_back(self) -> None:
        if self._left or self._late:
            late = list(self._late)  # there may be more of them meanwhile
            await self._store.unclaim(self._left + late)
            self._left, self._late = [], self._late[len(late) :]
            self._looks = True
            if late:
                self._changed.set()

    async def _publish(self, rows: Sequence[Owed]) -> None:
        try:
            await self._broker.publish([row.message for row in rows])
        except BrokerUnavailable:
            raise
        except MessagesRefused as error:
            self._note([rows[place] for place in error.taken])
            self._refuse_each([rows[place] for place in error.refused], error)
        except Exception as error:  # of all or of one: which, is seen one by one
            if len(rows) == 1:
                self._refuse(rows[0], error)
            else:
                await self._publish_each(rows)
        else:
            self._note(rows)

    async def _publish_each(self, rows: Sequence[Owed]) -> None:
        behind = Behind(self._refusals)
        for row in rows:
            if row in behind:
                continue
            try:
                await self._broker.publish([row.message])
            except BrokerUnavailable:
                raise
            except Exception as error:  # this one, then
                self._refuse(row, error)
                behind.add(row)
            else:
                self._note([row])

    def _refuse_each(self, rows: Sequence[Owed], error: Exception) -> None:
        """Try the first of each key again later, and what is behind it then; or their topic."""
        behind = Behind(self._refusals)
        for row in rows:
            if row not in behind:
                self._refuse(row, error)
                behind.add(row)

    def _refuse(self, row: Owed, error: Exception) -> None:
        """Try it again later, and say so."""
        self._observers.trouble(f"publishing from {self._store!r}: {self._refusals.refuse(row, _now())}", error)

    def _seconds_to_next(self) -> float:
        """How long until a refused one is tried again, or it is time to look in any case."""
        now = _now()
        return min(
            [SWEEP_SECONDS, self.lease_seconds, *(max(0.0, instant - now) for instant in self._refusals.instants())]
        )

    def _note(self, rows: Sequence[Owed]) -> None:
        """These are with the broker."""
        self._refusals.taken(rows)
        there = {row.id for row in rows}
        self._published += rows
        self._left = [row for row in self._left if row.id not in there]
        if rows and Point.PUBLISHED in self._observers.points:
            self._observers.at(
                Point.PUBLISHED,
                [
                    Turn(
                        reaction="outbox",
                        place="",
                        topic=row.message.topic,
                        event_id=row.message.id,
                        key=row.message.key,
                    )
                    for row in rows
                ],
            )


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _wait(event: asyncio.Event, seconds: float | None) -> bool:
    """Until it is set, or until the time is up: then False."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
