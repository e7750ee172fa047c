"""What a broker would not take: which messages and topics, when they are tried again, and what waits behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from minuet.ports.broker import size_bytes_of
from minuet.ports.clock import Chance
from minuet.ports.store import Owed
from minuet.runtime.feed import RECONNECT

MOST_REFUSED = 10
"""How many messages of a topic are refused one by one; then the topic is."""
MOST_BEHIND, MOST_BEHIND_BYTES = 256, 16 * 1024 * 1024
"""How many of a topic are refused or wait behind such of their keys, and how much their bodies come to: claimed in vain
each time; when there are more, the topic is refused."""


class Refusal(msgspec.Struct, frozen=True):
    """What the broker would not take: how often, and when, by the loop's time, it is tried again."""

    topic: str
    times: int
    again_at: float


class Refusals:
    """Holds up what was refused: a message and what is behind it of its key, or its whole topic. `now` is the loop's
    time.
    """

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._messages: dict[int, Refusal] = {}
        """By the number of the message."""
        self._topics: dict[str, Refusal] = {}
        """By topic, those that are refused as a whole."""
        self.passed_over = 0
        """How many of those claimed last were refused before, or wait behind such."""
        self.passed_over_bytes = 0
        """How much their bodies come to."""

    def __bool__(self) -> bool:
        return bool(self._messages or self._topics)

    def __repr__(self) -> str:
        return f"<Refusals of {len(self._messages)} messages and {len(self._topics)} topics>"

    def topics_held_up(self, now: float) -> set[str]:
        """The topics of which nothing is to be tried now."""
        return {topic for topic, refusal in self._topics.items() if refusal.again_at > now}

    def instants(self) -> Iterator[float]:
        """When something is tried again, by the loop's time."""
        for refusal in (*self._messages.values(), *self._topics.values()):
            yield refusal.again_at

    def ready(self, owed: Sequence[Owed], now: float) -> tuple[list[Owed], bool]:
        """Those whose time has come: no refused one before its time, and nothing of its key behind it. And whether
        others may be ready that were not claimed, because those that are not took their room.
        """
        if not self._messages:
            self.passed_over = self.passed_over_bytes = 0
            return self._one_of_each_topic(owed), False
        there = {row.id for row in owed}
        self._messages = {number: refusal for number, refusal in self._messages.items() if number in there}
        blocked: set[tuple[str, str]] = set()
        ready: list[Owed] = []
        waiting, waiting_bytes = Counter[str](), Counter[str]()
        for row in owed:
            refusal = self._messages.get(row.id)
            if refusal is not None and refusal.again_at > now:
                blocked.update(_order(row))
            elif blocked.isdisjoint(_order(row)):
                ready.append(row)
                continue
            waiting[row.message.topic] += 1
            waiting_bytes[row.message.topic] += size_bytes_of(row.message.body)
        many = [t for t, rows in waiting.items() if rows > MOST_BEHIND or waiting_bytes[t] > MOST_BEHIND_BYTES]
        more = waiting.total() > self.passed_over or waiting_bytes.total() > self.passed_over_bytes
        self.passed_over, self.passed_over_bytes = waiting.total(), waiting_bytes.total()
        for topic in many:
            self._topics[topic] = min(self._forget_messages(topic), key=lambda refusal: refusal.again_at)
        return self._one_of_each_topic([row for row in ready if row.message.topic not in many]), more or bool(many)

    def _one_of_each_topic(self, rows: Sequence[Owed]) -> list[Owed]:
        """Of the topics that are refused the oldest row each, which is a trial, and all of the others."""
        if not self._topics:
            return list(rows)
        tried: set[str] = set()
        chosen: list[Owed] = []
        for row in rows:
            if row.message.topic not in tried:
                chosen.append(row)
                if row.message.topic in self._topics:
                    tried.add(row.message.topic)
        return chosen

    def refuse(self, row: Owed, now: float) -> str:
        """Try this one again later; when there are many of its topic, the whole topic. What that is, in words."""
        topic = row.message.topic
        alike = [number for number, refusal in self._messages.items() if refusal.topic == topic]
        if topic in self._topics or (row.id not in alike and len(alike) >= MOST_REFUSED):
            self._forget_messages(topic)
            self._topics[topic] = refusal = self._again(topic, self._topics.get(topic), now)
            return f"{topic}, refused as a whole, {refusal.times} times"
        self._messages[row.id] = refusal = self._again(topic, self._messages.get(row.id), now)
        return f"{topic} {row.message.id}, refused {refusal.times} times"

    def taken(self, rows: Sequence[Owed]) -> None:
        """The broker has these."""
        if self:
            for row in rows:
                self._messages.pop(row.id, None)
                self._topics.pop(row.message.topic, None)

    def holds_up(self, topic: str) -> bool:
        """Whether a topic is refused as a whole."""
        return topic in self._topics

    def _forget_messages(self, topic: str) -> list[Refusal]:
        alike = {number: refusal for number, refusal in self._messages.items() if refusal.topic == topic}
        for number in alike:
            del self._messages[number]
        return list(alike.values())

    def _again(self, topic: str, before: Refusal | None, now: float) -> Refusal:
        times = before.times + 1 if before is not None else 1
        pause = RECONNECT.delay(times + 1, self._chance.random()) or 0.0
        return Refusal(topic, times, now + pause)


class Behind:
    """What of a batch may not be tried any more: of a key that was refused, or of a topic."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._keys: set[tuple[str, str]] = set()
        self._topics: set[str] = set()

    def __contains__(self, row: Owed) -> bool:
        return row.message.topic in self._topics or not self._keys.isdisjoint(_order(row))

    def add(self, row: Owed) -> None:
        """This one was refused."""
        self._keys.update(_order(row))
        if self._refusals.holds_up(row.message.topic):
            self._topics.add(row.message.topic)


def _order(row: Owed) -> list[tuple[str, str]]:
    """What it must keep its order with: the topic and key, nothing without a key."""
    return [] if row.message.key is None else [(row.message.topic, row.message.key)]
