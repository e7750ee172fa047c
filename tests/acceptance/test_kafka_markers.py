"""Offsets that hold nothing for a consumer: marks of other producers' transactions, what they aborted, what compaction
took away. They are nobody's work, so that no group stays behind for them, and what is around them is handled.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from minuet.brokers.kafka import KafkaBroker
from minuet.brokers.kafka.intake import MOST_WAITING
from minuet.brokers.kafka.removal import remove
from minuet.brokers.kafka.subscription import KafkaSubscription
from minuet.errors import BrokerClosed
from minuet.ports.broker import Delivery, Group
from tests.acceptance.kafka_foreigner import Foreigner
from tests.contract.servers import needs, url_of

pytestmark = [*needs("kafka"), pytest.mark.slow, pytest.mark.timeout(120)]

PATIENCE_SECONDS = 60.0
COMPACTED = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "100"}


class Reading:
    """A group of one topic with one partition, and somebody else who writes there."""

    def __init__(self, broker: KafkaBroker) -> None:
        self.broker = broker
        self.group = Group("readers", "readers", ("Said",))
        self.topic = f"{broker.place.prefix}Said"
        self.admin = AdminClient(broker.place.client())
        self.foreigner = Foreigner(broker.place)

    async def commit(self, *names: str, size: int = 0) -> None:
        """A transaction of these, with its mark behind them; each has so many bytes at least."""
        lot = [(name, name.encode().ljust(size)) for name in names]
        await asyncio.to_thread(self.foreigner.commit, self.topic, lot)

    async def abort(self, *names: str) -> None:
        """The same, given up."""
        await asyncio.to_thread(self.foreigner.abort, self.topic, [(name, name.encode()) for name in names])

    async def behind(self) -> int:
        """How far behind the group is, as anybody is told."""
        return {each.group.name: each.behind for each in await self.broker.groups()}[self.group.name]

    async def until_behind(self, count: int) -> None:
        """Return once it is so far behind."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.behind() != count:  # noqa: ASYNC110  # a server makes no sound here
                await asyncio.sleep(0)

    async def forget(self) -> None:
        """The topic forgets all that it has."""
        [forgotten] = self.admin.delete_records([TopicPartition(self.topic, 0, OFFSET_END)]).values()
        await asyncio.to_thread(forgotten.result, PATIENCE_SECONDS)

    def pretend(self, offset: int) -> None:
        """Say that the group has had everything before this offset."""
        consumer = Consumer({**self.broker.place.client(), "group.id": self.broker.place.group_name(self.group.name)})
        consumer.commit(offsets=[TopicPartition(self.topic, 0, offset)], asynchronous=False)
        consumer.close()

    def kept(self) -> int:
        """How many messages the topic has."""
        consumer = Consumer({**self.broker.place.client(), "group.id": "none", "enable.partition.eof": True})
        consumer.assign([TopicPartition(self.topic, 0, OFFSET_BEGINNING)])
        count = 0
        try:
            while (record := consumer.poll(PATIENCE_SECONDS)) is not None and (error := record.error()) is None:
                count += 1
            assert error is not None
            assert error.code() == KafkaError._PARTITION_EOF
        finally:
            consumer.close()
        return count


async def received(subscription: KafkaSubscription, count: int) -> list[Delivery]:
    """The next so many deliveries."""
    found = list[Delivery]()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            found += await subscription.receive(count - len(found))
    return found


def keys(deliveries: Iterable[Delivery]) -> list[str | None]:
    return [delivery.key for delivery in deliveries]


@asynccontextmanager
async def reading(config: dict[str, str] | None = None, options: str = "") -> AsyncGenerator[Reading]:
    """A topic with this configuration and its group, in a place with these options; nothing of it is left."""
    broker = KafkaBroker.from_url(f"{url_of('kafka')}/?prefix=t{uuid.uuid4().hex[:8]}.&{options}")
    await broker.open()
    try:
        there = Reading(broker)
        [made] = there.admin.create_topics([NewTopic(there.topic, 1, 1, config=config or {})]).values()
        await asyncio.to_thread(made.result, PATIENCE_SECONDS)
        await broker.provision([there.group])
        yield there
    finally:
        await broker.close()
        await asyncio.to_thread(remove, broker.place)


async def test_what_lies_at_the_end_leaves_nobody_behind() -> None:
    """A transaction was committed, another aborted: the group has what was committed, and nothing is left. What comes
    later is handed out.
    """
    async with reading() as there:
        await there.commit("one", "two")
        await there.abort("never")
        subscription = there.broker.subscribe(there.group)
        found = await received(subscription, 2)
        await subscription.acknowledge(found)
        later = asyncio.create_task(received(subscription, 1))
        await there.until_behind(0)
        await there.abort("neither", "nor")
        await there.until_behind(0)
        await there.commit("three")
        assert keys([*found, *await later]) == ["one", "two", "three"]


async def test_who_was_behind_for_nothing_but_marks_is_not_once_it_reads() -> None:
    """Nobody read while all that came was aborted; who reads then is given nothing, and the group is where the end is,
    also when it does not read any more.
    """
    async with reading() as there:
        await there.abort("never", "ever")
        subscription = there.broker.subscribe(there.group)
        waiting = asyncio.create_task(received(subscription, 1))
        await there.until_behind(0)
        assert not waiting.done()
        await subscription.close()
        with pytest.raises(BrokerClosed):
            await waiting
        assert await there.behind() == 0


async def test_a_delivery_among_marks_is_all_that_is_left_until_it_is_done() -> None:
    """The first of many is held, and around it everything is done or nothing: exactly one is left, which who reads next
    is given, alone; then none.
    """
    async with reading() as there:
        await there.commit("held", "one")
        await there.abort("never")
        await there.commit("two")
        await there.abort("ever")
        subscription = there.broker.subscribe(there.group)
        held, *others = await received(subscription, 3)
        await subscription.acknowledge(others)
        assert keys([held, *others]) == ["held", "one", "two"]
        waiting = asyncio.create_task(received(subscription, 1))
        await there.until_behind(1)
        await subscription.close()
        with pytest.raises(BrokerClosed):
            await waiting
        assert await there.behind() == 1
        subscription = there.broker.subscribe(there.group)
        again = await received(subscription, 1)
        assert keys(again) == ["held"]
        await subscription.acknowledge(again)
        more = asyncio.create_task(received(subscription, 1))
        await there.until_behind(0)
        await there.commit("three")
        assert keys(await more) == ["three"]


async def test_a_transaction_that_is_open_is_nobodys_work_yet() -> None:
    """What somebody has written and not committed is behind the end; once it is committed it comes, whole."""
    async with reading() as there:
        await there.commit("one")
        subscription = there.broker.subscribe(there.group)
        await subscription.acknowledge(await received(subscription, 1))
        later = asyncio.create_task(received(subscription, 2))
        await there.until_behind(0)
        with there.foreigner.open(there.topic, [("two", b"two"), ("three", b"three")]):
            assert await there.behind() == 0
            assert not later.done()
        assert keys(await later) == ["two", "three"]


async def test_what_retention_took_away_is_not_left() -> None:
    """The topic has forgotten everything before it was read: nothing is left, told before and after somebody reads."""
    async with reading() as there:
        await there.commit("one")
        subscription = there.broker.subscribe(there.group)
        await subscription.acknowledge(await received(subscription, 1))
        await subscription.close()
        await there.commit("gone", "too")
        assert await there.behind() == 4
        await there.forget()
        assert await there.behind() == 0
        subscription = there.broker.subscribe(there.group)
        later = asyncio.create_task(received(subscription, 1))
        await there.commit("two")
        await subscription.acknowledge(await later)
        assert keys(await later) == ["two"]
        nothing = asyncio.create_task(received(subscription, 1))
        await there.until_behind(0)
        nothing.cancel()


async def test_what_was_fetched_and_then_forgotten_is_handled_all_the_same() -> None:
    """Retention takes away what a reader has in its hands, and more that it had yet to fetch: it goes on with what it
    has, and then with what is there.
    """
    async with reading(options="client.queued.max.messages.kbytes=64&client.max.partition.fetch.bytes=65536") as there:
        names = [str(number) for number in range(MOST_WAITING * 3)]
        await there.commit(*names, size=1000)
        subscription = there.broker.subscribe(there.group)
        found = await received(subscription, 1)
        await there.forget()
        await there.commit("late")
        while found[-1].key != "late":
            found += await received(subscription, 1)
        *before, late = keys(found)
        assert before == names[: len(before)]
        assert 1 < len(before) < len(names)
        await subscription.acknowledge(found)
        nothing = asyncio.create_task(received(subscription, 1))
        await there.until_behind(0)
        assert late == "late"
        nothing.cancel()


async def test_a_place_beyond_the_end_is_given_up_for_the_beginning() -> None:
    """What the group's commit says was never here: everything that is here is handed out, and left until it is done."""
    async with reading() as there:
        await there.commit("one", "two")
        await asyncio.to_thread(there.pretend, 100)
        subscription = there.broker.subscribe(there.group)
        found = await received(subscription, 2)
        assert keys(found) == ["one", "two"]
        nothing = asyncio.create_task(received(subscription, 1))
        await there.until_behind(2)
        await subscription.acknowledge(found)
        await there.until_behind(0)
        nothing.cancel()


async def test_what_compaction_took_away_is_not_left() -> None:
    """Of a topic that keeps the last of each key, exactly what it keeps is handed out, and left until it is done."""
    async with reading(COMPACTED) as there:
        names = [f"key {number}" for number in range(20)]
        for name in names:
            await there.commit("same", name)
        count = len(names) * 2
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await asyncio.to_thread(there.kept) == count:
                await there.commit("same")
                count += 1
        await there.abort("never")
        subscription, found = there.broker.subscribe(there.group), list[Delivery]()
        taking = asyncio.create_task(take(subscription, found))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not found or await there.behind() != len(found):  # noqa: ASYNC110  # a server makes no sound here
                await asyncio.sleep(0)
        assert len(found) < count
        assert set(keys(found)) == {"same", *names}
        first, *others = found
        await subscription.acknowledge(others)
        await there.until_behind(1)
        await subscription.acknowledge([first])
        await there.until_behind(0)
        taking.cancel()


async def take(subscription: KafkaSubscription, found: list[Delivery]) -> None:
    """Whatever comes."""
    while True:
        found += await subscription.receive(100)


async def test_the_library_goes_on_where_it_was_after_an_end_and_a_pause() -> None:
    """An end that was told among records moves no position: what comes during a pause is read after it."""
    async with reading() as there:
        await there.commit("one", "two")
        consumer = Consumer({**there.broker.place.client(), "group.id": "none", "enable.partition.eof": True})
        whole = TopicPartition(there.topic, 0, OFFSET_BEGINNING)
        try:
            consumer.assign([whole])
            *_, end = await asyncio.to_thread(consumer.consume, 3, PATIENCE_SECONDS)
            assert (end.error() is not None, end.offset()) == (True, 3)
            consumer.pause([whole])
            await there.commit("three")
            consumer.resume([whole])
            [three] = await asyncio.to_thread(consumer.consume, 1, PATIENCE_SECONDS)
            assert three.value() == b"three"
        finally:
            consumer.close()
