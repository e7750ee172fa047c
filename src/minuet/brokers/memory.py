"""The memory broker: a log in this process, with acknowledgement, redelivery and order by key as on any broker."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import ClassVar

import msgspec

from minuet.contracts.correlation import belongs
from minuet.errors import BrokerClosed
from minuet.ports.broker import (
    Attributes,
    Capabilities,
    Change,
    Delivery,
    Group,
    Logged,
    Message,
    Progress,
    changed_groups,
    refuse_large,
)
from minuet.ports.examined import Examined
from minuet.ports.store import Store


class _Reading(msgspec.Struct):
    """How far one group has read."""

    group: Group
    next: int
    returned: list[int] = msgspec.field(default_factory=list[int])
    """Given back, or passed over because their key was held; in order."""
    holders: dict[str, tuple[object, int]] = msgspec.field(default_factory=dict[str, tuple[object, int]])
    """For each key that is held: by which subscription, and how many times."""


class MemoryBroker:
    """`memory://`: for tests, examples and one process. Nothing of it survives the process."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        order="key",
        persistent=False,
        replay=True,
        competing=True,
        groups="service",
        envelope="binary",
        joins=False,
        max_payload_bytes=1024 * 1024,
        traceable=True,
    )

    def __init__(self) -> None:
        self._log: dict[int, Message] = {}
        """By number, in the order of publishing."""
        self._end = 0
        """The number of the next message."""
        self._marks: list[tuple[float, int]] = []
        self._readings: dict[str, _Reading] = {}
        self._subscriptions: list[MemorySubscription] = []

    @classmethod
    def from_url(cls, url: str) -> MemoryBroker:
        """The broker of `memory://`; every call gives a new one."""
        return cls()

    def __repr__(self) -> str:
        return f"<MemoryBroker, {len(self._log)} messages, {len(self._readings)} groups>"

    async def open(self, *, create: bool = True) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        for subscription in list(self._subscriptions):
            await subscription.close()

    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        return changed_groups(groups, [reading.group for reading in self._readings.values()])

    async def provision(self, groups: Sequence[Group]) -> None:
        for group in groups:
            reading = self._readings.setdefault(group.name, _Reading(group, self._start()))
            reading.group = group

    async def publish(self, messages: Sequence[Message]) -> None:
        refuse_large(messages, self.capabilities.max_payload_bytes)
        for message in messages:
            _refuse_unwritable(message)
        self._log.update(enumerate(messages, self._end))
        self._end += len(messages)
        self.wake()

    def subscribe(self, group: Group) -> MemorySubscription:
        reading = self._readings.setdefault(group.name, _Reading(group, self._start()))
        subscription = MemorySubscription(self, reading)
        self._subscriptions.append(subscription)
        return subscription

    def joined(self, store: Store) -> None:
        """Never: it shares no transaction with any store."""
        return

    async def trim(self, before: float, now: float, keep: frozenset[str]) -> int:
        self._marks.append((now, self._end))
        bound = max((number for at, number in self._marks if at <= before), default=0)
        self._marks = [mark for mark in self._marks if mark[0] > before]
        for reading in self._readings.values():
            bound = min([bound, reading.next, *reading.returned])
        for subscription in self._subscriptions:
            bound = min([bound, *subscription.held])
        gone = [number for number in takewhile(bound.__gt__, self._log) if self._log[number].id not in keep]
        for number in gone:
            del self._log[number]
        return len(gone)

    async def instance(self, correlation_id: str, *, quick: bool = False) -> list[Logged]:
        return [
            Logged(message, number, frozenset(self._awaiting(message.topic, number)))
            for number, message in self._log.items()
            if not isinstance(message.headers, Attributes) and belongs(correlation_id, message.headers, message.body)
        ]

    async def groups(self) -> list[Progress]:
        behind = Counter(
            name for number, message in self._log.items() for name in self._awaiting(message.topic, number)
        )
        return [Progress(reading.group, behind[name]) for name, reading in sorted(self._readings.items())]

    async def examine(self) -> list[Examined]:
        return []

    def _awaiting(self, topic: str, number: int) -> list[str]:
        """The groups that have yet to have this message: not handed out, given back, or not acknowledged."""
        return [
            name
            for name, reading in self._readings.items()
            if topic in reading.group.topics
            and (
                number >= reading.next
                or number in reading.returned
                or any(number in s.held for s in self._subscriptions if s.group == name)
            )
        ]

    def at(self, number: int) -> Message | None:
        """The message of this number; None when it was trimmed."""
        return self._log.get(number)

    def end(self) -> int:
        return self._end

    def _start(self) -> int:
        """The number of the oldest message."""
        return next(iter(self._log), self._end)

    def wake(self) -> None:
        for subscription in self._subscriptions:
            subscription.changed.set()

    def drop(self, subscription: MemorySubscription) -> None:
        self._subscriptions.remove(subscription)
        self.wake()


class MemorySubscription:
    """One stream of a group."""

    def __init__(self, broker: MemoryBroker, reading: _Reading) -> None:
        self._broker = broker
        self._reading = reading
        self.group = reading.group.name
        self._closed = False
        self.held: dict[int, str | None] = {}
        self.changed = asyncio.Event()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self.held)} held"
        return f"<MemorySubscription {self._reading.group.name}, {state}>"

    async def receive(self, limit: int) -> Sequence[Delivery]:
        while not self._closed:
            self.changed.clear()
            if found := self._take(limit):
                return found
            await self.changed.wait()
        raise BrokerClosed(f"The subscription of {self._reading.group.name} is closed; nothing more will be received.")

    def _take(self, limit: int) -> list[Delivery]:
        reading, found = self._reading, list[Delivery]()
        passed_over: list[int] = []
        blocked: set[str] = set()
        for number in reading.returned:
            message = self._broker.at(number)
            assert message is not None, "a message that was given back is not trimmed"
            if len(found) < limit and self._hold(number, message, blocked):
                found.append(_delivery(number, message))
            else:
                passed_over.append(number)
        while len(found) < limit and reading.next < self._broker.end():
            number, reading.next = reading.next, reading.next + 1
            message = self._broker.at(number)
            if message is None or message.topic not in reading.group.topics:
                continue
            if self._hold(number, message, blocked):
                found.append(_delivery(number, message))
            else:
                passed_over.append(number)
        reading.returned = passed_over
        return found

    def _hold(self, number: int, message: Message, blocked: set[str]) -> bool:
        key = message.key
        if key is not None:
            holder, times = self._reading.holders.get(key, (self, 0))
            if holder is not self or key in blocked:
                blocked.add(key)
                return False
            self._reading.holders[key] = (self, times + 1)
        self.held[number] = key
        return True

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._let_go(delivery.token)
        self._broker.wake()

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if self._let_go(delivery.token):
                insort(self._reading.returned, delivery.token)
        self._broker.wake()

    def _let_go(self, number: int) -> bool:
        if number not in self.held:
            return False
        key = self.held.pop(number)
        if key is not None:
            holder, times = self._reading.holders[key]
            if times == 1:
                del self._reading.holders[key]
            else:
                self._reading.holders[key] = (holder, times - 1)
        return True

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for number in list(self.held):
            self._let_go(number)
            insort(self._reading.returned, number)
        self._broker.drop(self)
        self.changed.set()


def _delivery(number: int, m: Message) -> Delivery:
    return Delivery(m.topic, m.key, m.id, m.source, m.headers, m.body, number)


def _refuse_unwritable(message: Message) -> None:
    """Raise UnicodeEncodeError for text that is no text, half of a surrogate pair, as any broker on a wire does."""
    texts: list[str | bytes | None] = [message.topic, message.key, message.id, message.source, message.body]
    if message.headers is not None and not isinstance(message.headers, Attributes):
        texts += [*message.headers, *message.headers.values()]
    for text in texts:
        if isinstance(text, str) and not text.isascii():
            text.encode()
