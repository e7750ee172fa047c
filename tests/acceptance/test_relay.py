"""Relays of several processes on one outbox: one that has stood still, a dead topic, a claim unheard of."""

import asyncio
from collections.abc import Iterator

import pytest

from minuet.errors import MessagesRefused
from minuet.ports.broker import Message, size_bytes_of
from minuet.ports.observer import Point
from minuet.ports.store import CLAIM_BYTES
from minuet.runtime.housekeeping import Housekeeping
from minuet.runtime.observing import Observers
from minuet.runtime.refusals import MOST_BEHIND, MOST_REFUSED
from minuet.runtime.relay import Relay
from minuet.runtime.system import SystemClock
from minuet.testing.signals import Signals
from tests.acceptance.forked import Forked, Parent
from tests.acceptance.pairs import Pair
from tests.acceptance.postgres_pairs import PostgresPair
from tests.acceptance.relays import SHORT_SECONDS, emit, message, opened, owe, relaying, where

__all__ = ["where"]

pytestmark = pytest.mark.slow


class Stalling:
    """A broker's publish in which the whole process stands still until it is told to go on."""

    def __init__(self, broker, parent: Parent) -> None:
        self._broker = broker
        self._parent = parent

    async def publish(self, messages) -> None:
        self._parent.say("publishing")
        self._parent.wait_for_word()
        await self._broker.publish(messages)


async def stall(parent: Parent, where: Pair | PostgresPair) -> None:
    """A process whose relay holds rows, stands still for longer than its lease, and comes back."""
    async with opened(where) as (broker, store):
        async with relaying(store, Stalling(broker, parent), Signals(), lease_seconds=SHORT_SECONDS):
            pass
        parent.say("over")
        parent.wait_for_word()


async def test_a_relay_that_stood_still_touches_nothing_that_another_holds_now(where) -> None:
    """Its rows are published in order by another; when it comes back, they are in the log once, and what the other
    holds by then is still that one's.
    """
    signals = Signals()
    async with opened(where) as (broker, store):
        await owe(store, *(message("Topic", number) for number in range(3)))
        async with Forked(stall, where) as stalled:
            await stalled.says("publishing")
            async with relaying(store, broker, signals, lease_seconds=SHORT_SECONDS):
                await signals.reached(Point.PUBLISHED, count=3)
            await owe(store, message("Topic", 3))
            held = await store.claim_owed(10)
            stalled.tell("go on")
            await stalled.says("over")
            assert [row.message.id for row in await store.owed()] == ["Topic-3"]
            assert await store.claim_owed(10) == []
            await broker.publish([row.message for row in held])
            await store.paid(held)
            assert await store.owed() == []
            stalled.tell("end")
            assert await stalled.ended() == 0
    assert where.logged_ids("Topic") == [f"Topic-{number}" for number in range(4)]


class Refusing:
    """A broker of which some topics are dead."""

    def __init__(self, broker) -> None:
        self._broker = broker
        self.dead = {"Dead", "Deaf", "Dumb"}

    async def publish(self, messages) -> None:
        if any(each.topic in self.dead for each in messages):
            raise ValueError("no such topic")
        await self._broker.publish(messages)


@pytest.mark.parametrize("keys", [600, 3, 1])
async def test_a_dead_topic_holds_up_itself_alone(where, keys: int) -> None:
    """Hundreds of its messages, of as many keys or of few, are older than another's and owed: the other's go out at
    once, and its own in order when it is alive again.
    """
    signals = Signals()
    async with opened(where) as (broker, store):
        dead = [Message("Dead", f"key {n % keys}", f"Dead-{n}", "test", {}, b"{}") for n in range(600)]
        await owe(store, *dead, *(message("Alive", number) for number in range(20)))
        refusing = Refusing(broker)
        async with relaying(store, refusing, signals):
            await signals.reached(Point.PUBLISHED, topic="Alive", count=20)
            assert [row.message.topic for row in await store.owed()].count("Dead") == 600
            refusing.dead.clear()
            await signals.reached(Point.PUBLISHED, topic="Dead", count=600)
    assert where.logged_ids("Alive") == [f"Alive-{number}" for number in range(20)]
    logged = where.logged_ids("Dead")
    for key in range(keys):
        assert [each for each in logged if int(each[5:]) % keys == key] == [each.id for each in dead[key::keys]]
    assert keys < 600 or any("refused as a whole" in place for place, _ in signals.troubles)


class Weighing:
    """A broker that knows how much it was given at a time at most, and takes nothing that is too large."""

    def __init__(self, broker, most_bytes: int) -> None:
        self._broker = broker
        self._most_bytes = most_bytes
        self.heaviest_bytes = 0

    async def publish(self, messages) -> None:
        if any(size_bytes_of(each.body) > self._most_bytes for each in messages):
            raise ValueError("too large")
        self.heaviest_bytes = max(self.heaviest_bytes, sum(size_bytes_of(each.body) for each in messages))
        await self._broker.publish(messages)


@pytest.mark.parametrize("held", [False, True])
async def test_large_messages_are_published_a_few_at_a_time(where, held) -> None:
    """However they come to the relay: what it has of them in memory is bounded. What no broker takes, because it is too
    large, keeps its place, and others go on.
    """
    signals = Signals()
    async with opened(where) as (broker, store):
        weighing = Weighing(broker, CLAIM_BYTES)
        async with relaying(store, weighing, signals) as relay:
            for number in range(40):
                each = Message("Topic", f"{number}", f"{number}", "test", {}, "\u6f22" * (CLAIM_BYTES // 12))
                huge = Message("Huge", f"{number}", f"huge {number}", "test", {}, "\u6f22" * CLAIM_BYTES)
                for one in (huge, each) if number < 2 else (each,):
                    await (emit(store, relay, one) if held else owe(store, one))
            await signals.reached(Point.PUBLISHED, topic="Topic", count=40)
        assert [row.message.id for row in await store.owed()] == ["huge 0", "huge 1"]
    assert where.logged_ids("Topic") == [f"{number}" for number in range(40)]
    assert 0 < weighing.heaviest_bytes < CLAIM_BYTES + CLAIM_BYTES // 4


async def test_topics_of_which_none_has_too_many_do_not_hold_up_another_together(where) -> None:
    """A key of each of a few topics is refused, with more behind them together than are claimed at once."""
    signals = Signals()
    async with opened(where) as (broker, store):
        refusing = Refusing(broker)
        await owe(store, *(message(topic, number) for topic in sorted(refusing.dead) for number in range(MOST_BEHIND)))
        await owe(store, *(message("Alive", number) for number in range(20)))
        async with relaying(store, refusing, signals):
            await signals.reached(Point.PUBLISHED, topic="Alive", count=20)
            refusing.dead.clear()
            await signals.reached(Point.PUBLISHED, count=20 + 3 * MOST_BEHIND)
    for topic in ("Dead", "Deaf", "Dumb"):
        assert where.logged_ids(topic) == [f"{topic}-{number}" for number in range(MOST_BEHIND)]
    assert not any("refused as a whole" in place for place, _ in signals.troubles)


class Telling:
    """A broker that takes nothing of one topic, all else, and says which is which."""

    def __init__(self, broker) -> None:
        self._broker = broker
        self.dead = "Dead"
        self.given: list[list[str]] = []
        """The topics of each batch."""

    async def publish(self, messages) -> None:
        self.given.append([each.topic for each in messages])
        taken = tuple(place for place, each in enumerate(messages) if each.topic != self.dead)
        await self._broker.publish([messages[place] for place in taken])
        if refused := tuple(place for place in range(len(messages)) if place not in taken):
            raise MessagesRefused("not today", refused, taken)


async def test_what_a_broker_took_beside_what_it_refused_is_not_published_again(where) -> None:
    """It says which of a batch it refused: the others are published once and owed no more, a dead topic is tried by one
    message, and goes in order when it is alive again.
    """
    signals = Signals()
    async with opened(where) as (broker, store):
        pairs = [(Message("Dead", f"{n}", f"Dead-{n}", "test", {}, b"{}"), message("Alive", n)) for n in range(60)]
        await owe(store, *(each for pair in pairs for each in pair))
        telling = Telling(broker)
        async with relaying(store, telling, signals):
            await signals.troubled(count=MOST_REFUSED + 3)
            first, *others = telling.given
            assert sorted(first) == ["Alive"] * 60 + ["Dead"] * 60
            assert others == [["Dead"]] * len(others)
            assert {row.message.topic for row in await store.owed()} == {"Dead"}
            telling.dead = ""
            await signals.reached(Point.PUBLISHED, topic="Dead", count=60)
    assert where.logged_ids("Alive") == [f"Alive-{number}" for number in range(60)]
    assert where.logged_ids("Dead") == [f"Dead-{number}" for number in range(60)]
    assert telling.given[len(others) + 1 :] == [["Dead"], ["Dead"] * 59]


class Busy:
    """A store to which the next message is owed whenever a batch of it was claimed."""

    def __init__(self, store, more: Iterator[Message]) -> None:
        self._store = store
        self._more = more
        self.relay: Relay | None = None
        """Who is told of what is owed."""

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    async def claim_owed(self, limit: int, **options):
        claimed = await self._store.claim_owed(limit, **options)
        if claimed and (one := next(self._more, None)) is not None:
            await owe(self._store, one)
            assert self.relay is not None
            self.relay.wake()
        return claimed


class RefusingOnce:
    """A broker that refuses a message the first time, after a while in which others may go on."""

    def __init__(self, broker, refused: str) -> None:
        self._broker = broker
        self._refused: str | None = refused

    async def publish(self, messages) -> None:
        if any(each.id == self._refused for each in messages):
            self._refused = None
            for _ in range(1000):
                await asyncio.sleep(0)
            raise ValueError("not today")
        await self._broker.publish(messages)


@pytest.mark.parametrize("refused", range(5))
async def test_what_was_claimed_meanwhile_does_not_overtake_what_was_refused(where, refused: int) -> None:
    """One of a key is refused while the next one is claimed already: that waits for it."""
    signals = Signals()
    async with opened(where) as (broker, store):
        await owe(store, message("Topic", 0))
        busy = Busy(store, iter([message("Topic", number) for number in range(1, 10)]))
        async with relaying(busy, RefusingOnce(broker, f"Topic-{refused}"), signals) as busy.relay:
            await signals.reached(Point.PUBLISHED, count=10, within="20s")
    assert where.logged_ids("Topic") == [f"Topic-{number}" for number in range(10)]
    assert len(signals.troubles) == 1


async def test_what_a_claim_took_without_hearing_of_it_is_published_after_its_lease(where) -> None:
    """A claim whose commit was answered to nobody ends like any other."""
    signals = Signals()
    async with opened(where) as (broker, store):
        await owe(store, message("Topic", 0))
        assert len(await store.claim_owed(10, lease_seconds=SHORT_SECONDS)) == 1
        async with relaying(store, broker, signals, lease_seconds=SHORT_SECONDS):
            await signals.reached(Point.PUBLISHED, count=1)
    assert where.logged_ids("Topic") == ["Topic-0"]


async def test_what_is_owed_for_long_is_told(where) -> None:
    """Nothing is said of what was owed a moment ago; of what is owed for two minutes, what it is and how long."""
    async with opened(where) as (broker, store):
        housekeeping = Housekeeping(store, broker, SystemClock(), Observers([]), 3600.0)
        assert await housekeeping.alarms() == []
        now = SystemClock().now()
        async with store.transaction() as unit:
            await unit.outbox.owe([message("Topic", 0)], now)
        assert await housekeeping.alarms() == []
        [row] = await store.claim_owed(1)
        await store.paid([row])
        async with store.transaction() as unit:
            await unit.outbox.owe([message("Topic", 1)], now - 120)
        [(place, text)] = await housekeeping.alarms()
        assert "publishing" in place
        assert "Topic Topic-1 has been owed to the broker for 12" in text
