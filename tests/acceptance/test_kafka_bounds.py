"""Where Kafka's own bounds are met: a full queue, a delivery that stays open, topics as somebody else made them."""

import asyncio
import gc
import tracemalloc
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from minuet.brokers.kafka import KafkaBroker
from minuet.brokers.kafka.offsets import MOST_BITS
from minuet.brokers.kafka.subscription import KafkaSubscription
from minuet.errors import BrokerUnavailable, MinuetError
from minuet.ports.broker import Change, Delivery, Group, Message
from tests.contract.servers import needs, url_of

pytestmark = [*needs("kafka")]

PATIENCE_SECONDS = 30.0


@asynccontextmanager
async def opened(options: str = "") -> AsyncGenerator[tuple[KafkaBroker, Group]]:
    """A broker with these options, and a group of a topic that nobody has used."""
    name = uuid.uuid4().hex[:12]
    broker = KafkaBroker.from_url(f"{url_of('kafka')}/?{options}")
    await broker.open()
    try:
        yield broker, Group(f"bounds{name}", f"bounds{name}", (f"Bound{name}",))
    finally:
        await broker.close()


def numbered(topic: str, count: int) -> list[Message]:
    return [Message(topic, "k", str(number), "/test", None, b"{}") for number in range(count)]


async def lot_of(subscription: KafkaSubscription) -> Sequence[Delivery]:
    """The next deliveries; none when there are none for a while, because nothing else would show that none come."""
    try:
        return await asyncio.wait_for(subscription.receive(1000), 2.0)
    except TimeoutError:
        return ()


async def test_a_batch_larger_than_the_librarys_queue_is_published_in_order() -> None:
    """What the library cannot hold at once goes in parts, without loss, double or disorder."""
    async with opened("client.queue.buffering.max.messages=10") as (broker, group):
        await broker.provision([group])
        await broker.publish(numbered(group.topics[0], 95))
        subscription, found = broker.subscribe(group), list[Delivery]()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found) < 95:
                found += await subscription.receive(100)
        assert [each.id for each in found] == [str(number) for number in range(95)]


async def test_a_delivery_that_stays_open_bounds_how_far_its_partition_is_read() -> None:
    """While the first of many is held, no more come than can be written down; once it is done, so do the others. What
    was acknowledged beyond it comes to nobody again.
    """
    count = MOST_BITS + 4000
    async with opened("partitions=1") as (broker, group):
        await broker.provision([group])
        await broker.publish(numbered(group.topics[0], count))
        subscription = broker.subscribe(group)
        async with asyncio.timeout(PATIENCE_SECONDS):
            [first, *more] = await subscription.receive(1)
        assert not more
        seen = 1
        while lot := await lot_of(subscription):
            await subscription.acknowledge(lot)
            seen += len(lot)
        assert MOST_BITS // 2 < seen <= MOST_BITS
        await subscription.close()
        subscription = broker.subscribe(group)
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = list[Delivery]()
            while len(found) < count - seen + 1:
                lot = await subscription.receive(1000)
                await subscription.acknowledge(lot)
                found += lot
        assert [each.id for each in found] == [first.id, *(str(number) for number in range(seen, count))]


async def test_what_a_membership_had_fetched_goes_with_it() -> None:
    """Whoever leaves and joins again, or whose memberships fail, does not hold a queue for each of them."""
    async with opened("partitions=1") as (broker, group):
        await broker.provision([group])
        await broker.publish([Message(group.topics[0], "k", str(n), "/test", None, b"x" * 100_000) for n in range(200)])
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(5):
                subscription = broker.subscribe(group)
                for _ in range(30):
                    await asyncio.wait_for(subscription.receive(1), PATIENCE_SECONDS)
                await subscription.close()
            kept_bytes, most_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
    assert kept_bytes * 10 < most_bytes


async def test_a_topic_with_fewer_partitions_than_declared_is_refused() -> None:
    """Growing it would move keys: the plan says so, and nothing is provisioned. One with more is left as it is."""
    async with opened("partitions=3") as (broker, group):
        client = AdminClient({"bootstrap.servers": broker.place.servers})
        [made] = client.create_topics([NewTopic(group.topics[0], 2, 1)]).values()
        await asyncio.to_thread(made.result, PATIENCE_SECONDS)
        [change] = await broker.plan([group])
        assert change.what == f"topic {group.topics[0]}"
        assert "?partitions=2" in (change.refused or "")
        other = Group(group.name, group.service, (*group.topics, f"{group.topics[0]}Too"))
        with pytest.raises(BrokerUnavailable, match="keys would move"):
            await broker.provision([other])
        assert Change(
            what=f"topic {group.topics[0]}Too", how="create it: 3 partitions, copies as the cluster makes them"
        ) in await broker.plan([other])
    async with opened("partitions=1") as (broker, _):
        assert await broker.plan([group]) == []


async def test_what_is_published_to_no_topic_makes_one_or_is_refused() -> None:
    """Events that nobody reads yet have a topic as the URL declares it; with `create=off` they are refused by name."""
    async with opened("partitions=2") as (broker, group):
        await broker.publish(numbered(group.topics[0], 1))
        [delivery] = await asyncio.wait_for(broker.subscribe(group).receive(1), PATIENCE_SECONDS)
        assert delivery.id == "0"
    async with opened("create=off") as (broker, group):
        with pytest.raises(MinuetError, match=group.topics[0]):
            await broker.publish(numbered(group.topics[0], 1))
