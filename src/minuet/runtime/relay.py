"""The relay: what the outbox owes goes to the broker, in order, in batches, outside any transaction.

A broker that is away loses nothing: rows keep their place. A broker that refuses one message holds up that message and
those of its key alone: it stays owed, is said each time, and is tried again, later each time. One that refuses many of
a topic, or one before many of its key, holds up that topic alone, of which one message is tried from time to time.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Container, Sequence

import msgspec

from minuet.errors import BrokerUnavailable, MessagesRefused
from minuet.ports.broker import Broker
from minuet.ports.clock import Chance
from minuet.ports.observer import Point, Turn
from minuet.ports.store import LEASE_SECONDS, Owed, Store
from minuet.runtime.feed import RECONNECT
from minuet.runtime.observing import Observers

BATCH = 256
"""How many messages are claimed together at most."""
BORN_BATCH = 2048
"""How many are published together at most that nobody had to claim, give or take a commit: a broker's work goes by
batches and their topics, and those of a batch are many."""
MOST_HELD = 10_000
"""How many messages that nobody had to claim wait here to be published; what is owed beyond them is claimed."""
MOST_HELD_BYTES = 16 * 1024 * 1024
"""How much their bodies come to, give or take a commit."""
MOST_REFUSED = 10
"""How many messages of a topic are refused one by one; then the topic is."""
MOST_BEHIND = BATCH
"""How many of a topic are refused or wait behind such of their keys, claimed in vain each time; then the topic is."""
SWEEP_SECONDS = 5.0
"""How often it looks although nobody told it to: what a relay held that has stopped is free when its lease ends."""


class Refusal(msgspec.Struct, frozen=True):
    """What the broker would not take: how often, and when, by the loop's time, it is tried again."""

    topic: str
    times: int
    again_at: float


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
        self._refusals: dict[int, Refusal] = {}
        """By the number of the message."""
        self._topics: dict[str, Refusal] = {}
        """By topic, those that are refused as a whole."""
        self._published: list[Owed] = []
        """With the broker, and not written down as such yet."""
        self._left: list[Owed] = []
        """Held, not published, and not given back yet."""
        self._ahead: list[Owed] = []
        """Held and to be published next."""
        self._born: deque[tuple[float, Sequence[Owed]]] = deque()
        """Held from their birth, by commit, and since when by the loop's time."""
        self._born_count = self._born_bytes = 0
        self._series = 0
        """Counts how often what was held was given back."""
        self._late: list[Owed] = []
        """Held, and to be given back: of a series that is over."""
        self._looks = True
        """Whether there may be something to claim."""
        self._passed_over = 0
        """How many of those claimed last were refused before, or wait behind such."""
        self._failures = 0
        """How often in a row nothing could be done."""

    def __repr__(self) -> str:
        return f"<Relay from {self._store!r} to {self._broker!r}, {len(self._refusals)} refused>"

    def wake(self) -> None:
        """Something may be owed that is to be claimed."""
        self._looks = True
        self._changed.set()

    def series(self) -> int | None:
        """In which series this relay will take what is held from its birth; None while it is to be claimed."""
        full = self._born_count >= MOST_HELD or self._born_bytes >= MOST_HELD_BYTES
        return None if full or self._failures or self._refusals or self._topics else self._series

    def hold(self, series: int, rows: Sequence[Owed]) -> None:
        """Publish these, which are held, next."""
        if series != self._series:
            self._late += rows
        elif rows:
            self._born.append((asyncio.get_running_loop().time(), rows))
            self._born_count += len(rows)
            self._born_bytes += sum(len(row.message.body) for row in rows)
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
        ready = self._ready(self._left)
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
        done = await asyncio.gather(self._publish(rows), self._pay(), self._claim_ahead(), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                raise error

    def _next_born(self) -> list[Owed]:
        """A batch of what is held from its birth; none when its lease may have ended: then it is given back."""
        now, batch = asyncio.get_running_loop().time(), list[Owed]()
        while self._born and len(batch) < BORN_BATCH:
            since, rows = self._born.popleft()
            self._born_count -= len(rows)
            self._born_bytes -= sum(len(row.message.body) for row in rows)
            batch += rows
            if now - since > self.lease_seconds / 2:
                self._withdraw()
                self._late += batch
                return []
        return batch

    def _withdraw(self) -> None:
        """Let go of all that is held, and begin another series."""
        self._late += self._ahead
        self._ahead = []
        for _, rows in self._born:
            self._late += rows
        self._born.clear()
        self._born_count = self._born_bytes = 0
        self._series += 1
        self._looks = True

    async def _claimed(self) -> list[Owed]:
        if not self._looks:
            return []
        self._looks = False
        now = asyncio.get_running_loop().time()
        without = {topic for topic, refusal in self._topics.items() if refusal.again_at > now}
        passed_over = max(len(self._refusals), self._passed_over) + len(self._left) + len(self._published)
        try:
            owed = await self._store.claim_owed(BATCH + passed_over, lease_seconds=self.lease_seconds, without=without)
        except BaseException:
            self._looks = True
            raise
        self._looks = self._looks or bool(owed)
        return owed

    async def _claim_ahead(self) -> None:
        """Claim what was owed since the last claim. While anything is refused, one batch at a time."""
        if not self._refusals and not self._topics:
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

    def _ready(self, owed: Sequence[Owed]) -> list[Owed]:
        """Those whose time has come: no refused one before its time, and nothing of its key behind it."""
        if not self._refusals:
            self._passed_over = 0
            return list(owed)
        now = asyncio.get_running_loop().time()
        there = {row.id for row in owed}
        self._refusals = {number: refusal for number, refusal in self._refusals.items() if number in there}
        blocked: set[tuple[str, str]] = set()
        ready: list[Owed] = []
        waiting = Counter[str]()
        for row in owed:
            refusal = self._refusals.get(row.id)
            if refusal is not None and refusal.again_at > now:
                blocked.update(_order(row))
                waiting[row.message.topic] += 1
            elif blocked.isdisjoint(_order(row)):
                ready.append(row)
            else:
                waiting[row.message.topic] += 1
        many = self._pass_over(waiting)
        return [row for row in ready if row.message.topic not in many]

    def _pass_over(self, waiting: Counter[str]) -> list[str]:
        """So many of these topics cannot go yet: claim as many more, but none of a topic of which they are too many.

        Those topics are returned.
        """
        many = [topic for topic, rows in waiting.items() if rows > MOST_BEHIND]
        if many or waiting.total() > self._passed_over:
            self._changed.set()
        self._passed_over = waiting.total()
        for topic in many:
            alike = {number: refusal for number, refusal in self._refusals.items() if refusal.topic == topic}
            self._topics[topic] = min(alike.values(), key=lambda refusal: refusal.again_at)
            for number in alike:
                del self._refusals[number]
        return many

    async def _publish(self, rows: Sequence[Owed]) -> None:
        if self._topics:
            rows = _with_one_of(self._topics, rows)
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
        blocked: set[tuple[str, str]] = set()
        refused: set[str] = set()
        for row in rows:
            if row.message.topic in refused or not blocked.isdisjoint(_order(row)):
                continue
            try:
                await self._broker.publish([row.message])
            except BrokerUnavailable:
                raise
            except Exception as error:  # this one, then
                self._refuse(row, error)
                blocked.update(_order(row))
                if row.message.topic in self._topics:
                    refused.add(row.message.topic)
            else:
                self._note([row])

    def _refuse_each(self, rows: Sequence[Owed], error: Exception) -> None:
        """Try the first of each key again later, and what is behind it then; or their topic."""
        blocked: set[tuple[str, str]] = set()
        refused: set[str] = set()
        for row in rows:
            if row.message.topic not in refused and blocked.isdisjoint(_order(row)):
                self._refuse(row, error)
                blocked.update(_order(row))
                if row.message.topic in self._topics:
                    refused.add(row.message.topic)

    def _refuse(self, row: Owed, error: Exception) -> None:
        """Try this one again later, and go on with others; when there are many of its topic, the whole topic."""
        topic = row.message.topic
        alike = [number for number, refusal in self._refusals.items() if refusal.topic == topic]
        if topic in self._topics or (row.id not in alike and len(alike) >= MOST_REFUSED):
            for number in alike:
                del self._refusals[number]
            self._topics[topic] = refusal = self._again(topic, self._topics.get(topic))
            about = f"{topic}, refused as a whole, {refusal.times} times"
        else:
            self._refusals[row.id] = refusal = self._again(topic, self._refusals.get(row.id))
            about = f"{topic} {row.message.id}, refused {refusal.times} times"
        self._observers.trouble(f"publishing from {self._store!r}: {about}", error)

    def _again(self, topic: str, before: Refusal | None) -> Refusal:
        times = before.times + 1 if before is not None else 1
        pause = RECONNECT.delay(times + 1, self._chance.random()) or 0.0
        return Refusal(topic, times, asyncio.get_running_loop().time() + pause)

    def _seconds_to_next(self) -> float:
        """How long until a refused one is tried again, or it is time to look in any case."""
        now = asyncio.get_running_loop().time()
        instants = [refusal.again_at for refusal in (*self._refusals.values(), *self._topics.values())]
        return min([SWEEP_SECONDS, self.lease_seconds, *(max(0.0, instant - now) for instant in instants)])

    def _note(self, rows: Sequence[Owed]) -> None:
        """These are with the broker."""
        for row in rows:
            self._refusals.pop(row.id, None)
            self._topics.pop(row.message.topic, None)
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


def _order(row: Owed) -> list[tuple[str, str]]:
    """What it must keep its order with: the topic and key, nothing without a key."""
    return [] if row.message.key is None else [(row.message.topic, row.message.key)]


def _with_one_of(topics: Container[str], rows: Sequence[Owed]) -> Sequence[Owed]:
    """Of these topics the oldest row each, and all of the others."""
    tried: set[str] = set()
    chosen: list[Owed] = []
    for row in rows:
        if row.message.topic not in tried:
            chosen.append(row)
            if row.message.topic in topics:
                tried.add(row.message.topic)
    return chosen


async def _wait(event: asyncio.Event, seconds: float | None) -> bool:
    """Until it is set, or until the time is up: then False."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
