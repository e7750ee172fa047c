"""What a relay holds because its own process owes it: in order with what is claimed, given back, or held elsewhere."""

import asyncio

import pytest

from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Message
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.forked import Forked, Parent
from tests.acceptance.pairs import Pair
from tests.acceptance.postgres_pairs import PostgresPair
from tests.acceptance.relays import SHORT_SECONDS, emit, message, opened, owe, relaying, where

__all__ = ["where"]

pytestmark = pytest.mark.slow


async def test_of_two_processes_that_take_turns_neither_overtakes_the_other(where) -> None:
    """Each emits the next event of one key as soon as the other's is committed, published or not."""
    signals = Signals()
    async with opened(where) as (broker, store), opened(where) as (other_broker, other):
        async with relaying(store, broker, signals) as relay, relaying(other, other_broker, signals) as another:
            for number in range(60):
                chosen = (store, relay) if number % 3 else (other, another)
                await emit(*chosen, message("Topic", number))
            await signals.reached(Point.PUBLISHED, count=60, within="20s")
        assert await store.owed() == []
    assert where.logged_ids("Topic") == [f"Topic-{number}" for number in range(60)]


async def test_what_users_owe_in_their_own_transactions_keeps_its_place(where) -> None:
    """Of one key, every third event is to be claimed by the relay that holds the others."""
    signals = Signals()
    async with opened(where) as (broker, store), relaying(store, broker, signals) as relay:
        for number in range(60):
            if number % 3:
                await emit(store, relay, message("Topic", number))
            else:
                await owe(store, message("Topic", number))
                relay.wake()
        await signals.reached(Point.PUBLISHED, count=60, within="20s")
    assert where.logged_ids("Topic") == [f"Topic-{number}" for number in range(60)]


class Failing:
    """A broker that is away, or refuses what it is given, for its first so many batches."""

    def __init__(self, broker, error: Exception, times: int) -> None:
        self._broker = broker
        self._error = error
        self.times = times

    async def publish(self, messages) -> None:
        if self.times > 0:
            self.times -= 1
            for _ in range(100):
                await asyncio.sleep(0)
            raise self._error
        await self._broker.publish(messages)


@pytest.mark.parametrize("error", [BrokerUnavailable("away"), ValueError("not today")], ids=["away", "refused"])
@pytest.mark.parametrize("times", [1, 3])
async def test_what_is_given_back_is_not_overtaken_by_what_follows(where, error: Exception, times: int) -> None:
    """While the broker fails, events of two keys go on being emitted: each key's are published in order, once."""
    signals = Signals()
    batch = [Message("Topic", f"key {n % 2}", f"Topic-{n}", "test", {}, b"{}") for n in range(80)]
    async with opened(where) as (broker, store):
        failing = Failing(broker, error, times)
        async with relaying(store, failing, signals) as relay:
            for each in batch:
                await emit(store, relay, each)
            await signals.reached(Point.PUBLISHED, count=80, within="20s")
        assert await store.owed() == []
    logged = where.logged_ids("Topic")
    for remainder in range(2):
        assert [each for each in logged if int(each[6:]) % 2 == remainder] == [
            f"Topic-{number}" for number in range(remainder, 80, 2)
        ]
    assert failing.times == 0


class Deaf:
    """A broker that takes nothing until its process dies."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    async def publish(self, messages) -> None:
        self._parent.say("publishing")
        self._parent.wait_for_word()


async def stall_with_what_it_holds(parent: Parent, where: Pair | PostgresPair) -> None:
    """A process that has three events to publish and stands still."""
    async with (
        opened(where) as (_, store),
        relaying(store, Deaf(parent), Signals(), lease_seconds=SHORT_SECONDS) as relay,
    ):
        await emit(store, relay, *(message("Topic", number) for number in range(3)))


async def test_what_a_process_holds_that_stands_still_is_published_by_another(where) -> None:
    """After its lease, in order, and before what the other emits of the same key meanwhile."""
    signals = Signals()
    async with opened(where) as (broker, store), Forked(stall_with_what_it_holds, where) as stalled:
        await stalled.says("publishing")
        async with relaying(store, broker, signals, lease_seconds=SHORT_SECONDS) as relay:
            for number in range(3, 6):
                await emit(store, relay, message("Topic", number))
            await signals.reached(Point.PUBLISHED, count=6, within="20s")
        stalled.kill()
    assert where.logged_ids("Topic") == [f"Topic-{number}" for number in range(6)]


async def test_what_a_dead_process_held_is_published_by_another(where) -> None:
    """Long before its lease would end."""
    signals = Signals()
    async with opened(where) as (broker, store):
        async with Forked(die_with_what_it_holds, where) as dying:
            await dying.says("publishing")
            dying.kill()
            await dying.ended()
        await owe(store, message("Topic", 3))
        async with relaying(store, broker, signals):
            await signals.reached(Point.PUBLISHED, count=4, within="20s")
    assert where.logged_ids("Topic") == [f"Topic-{number}" for number in range(4)]


async def die_with_what_it_holds(parent: Parent, where: Pair | PostgresPair) -> None:
    """A process that has three events to publish when it is killed."""
    async with opened(where) as (_, store), relaying(store, Deaf(parent), Signals()) as relay:
        await emit(store, relay, *(message("Topic", number) for number in range(3)))
