"""A queue that is full and rejects what is published: what becomes of that, and of everything beside it."""

import asyncio
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pamqp import commands

from minuet.brokers.rabbitmq import RabbitBroker, frames
from minuet.brokers.rabbitmq.address import Address
from minuet.brokers.rabbitmq.connection import Connection
from minuet.errors import BrokerUnavailable, MessagesRefused
from minuet.ports.broker import Group, Message
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.pairs import SEPARATE, pair
from tests.acceptance.relays import owe, relaying
from tests.contract.rabbitmq_places import forget
from tests.contract.servers import needs, url_of

pytestmark = needs("rabbitmq")
SHOP = Group("shop", "shop", ("Sold",))
ROOM = 5
"""How many messages the bounded queue has room for."""


def sold(number: int) -> Message:
    """For the shop, whose queues have room."""
    return Message("Sold", "key", f"sold {number}", "/tests", None, b"{}")


def filed(number: int, key: str | None) -> Message:
    """For the bounded queue."""
    return Message("Filed", key, f"{number}", "/tests", None, b"{}")


class Bounded:
    """A queue of the topic `Filed` with little room."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.name = name
        self.ids: list[str] = []
        """Of what was read."""

    async def make(self, exchange: str) -> None:
        """Declare and bind it."""
        channel = await self.connection.channel()
        arguments = {"x-max-length": ROOM, "x-overflow": "reject-publish"}
        declare = commands.Queue.Declare(queue=self.name, durable=True, arguments=arguments)
        await channel.ask(declare, commands.Queue.DeclareOk)
        bind = commands.Queue.Bind(queue=self.name, exchange=exchange, routing_key="Filed")
        await channel.ask(bind, commands.Queue.BindOk)

    async def read(self, number: int) -> list[str]:
        """Read so many messages, one at a time; their ids."""
        channel = await self.connection.channel()
        done = asyncio.Event()

        def delivered(method: bytes, properties: bytes, body: bytes) -> None:
            self.ids.append(body.decode())
            tag, _ = frames.routing_key_of(method)
            channel.send(frames.acknowledging(channel.number, tag, multiple=False))
            if len(self.ids) == number:
                done.set()

        channel.delivered = delivered
        await channel.ask(commands.Basic.Qos(prefetch_count=1), commands.Basic.QosOk)
        await channel.ask(commands.Basic.Consume(queue=self.name), commands.Basic.ConsumeOk)
        async with asyncio.timeout(60):
            await done.wait()
        return self.ids

    async def delete(self) -> None:
        """Take it away."""
        channel = await self.connection.channel()
        await channel.ask(commands.Queue.Delete(queue=self.name), commands.Queue.DeleteOk)


@asynccontextmanager
async def beside_a_bounded_queue():
    """A broker with a shop of its own, and the bounded queue behind its exchange."""
    exchange = f"x-{uuid.uuid4().hex[:8]}"
    url = f"{url_of('rabbitmq')}?exchange={exchange}"
    async with AsyncExitStack() as stack:
        broker = RabbitBroker.from_url(url)
        await broker.open()
        stack.push_async_callback(forget, url, SHOP)
        stack.push_async_callback(broker.close)
        await broker.provision([SHOP])
        connection = await Connection.connect(Address.from_url(url))
        stack.push_async_callback(connection.close)
        bounded = Bounded(connection, f"{exchange}.bounded")
        stack.push_async_callback(bounded.delete)
        await bounded.make(exchange)
        yield broker, bounded


@asynccontextmanager
async def a_store(directory: Path):
    """A store of the test's own."""
    _, store = pair(SEPARATE, directory).adapters()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def refusal(broker: RabbitBroker, *messages: Message) -> MessagesRefused:
    """What publishing these raises."""
    with pytest.raises(MessagesRefused) as raised:
        await broker.publish(messages)
    assert not isinstance(raised.value, BrokerUnavailable)
    return raised.value


async def test_what_a_full_queue_refuses_is_told_apart() -> None:
    """Of a batch the refused places are told, with the topic, causes and remedies; all else of it is taken."""
    async with beside_a_bounded_queue() as (broker, _):
        error = await refusal(broker, sold(0), *(filed(number, None) for number in range(ROOM + 2)), sold(1))
        assert error.refused == (ROOM + 1, ROOM + 2)
        assert error.taken == (*range(ROOM + 1), ROOM + 3)
        assert f"refused 2 of {ROOM + 4} messages, on Filed. A queue that they go to is full" in str(error)
        assert "reject-publish" in str(error)
        assert "raise the limit" in str(error)
        assert "there is no queue" not in str(error).lower()


async def test_behind_a_refused_one_nothing_of_its_key_is_tried() -> None:
    """A topic that was refused something is published key by key: of a full queue the first of each key is refused, and
    what is behind it is not given to the server. What has no key, or another topic, goes as ever.
    """
    async with beside_a_bounded_queue() as (broker, _):
        await refusal(broker, *(filed(number, None) for number in range(ROOM + 1)))
        keyed = [filed(0, "a"), filed(1, "b"), filed(2, "a"), filed(3, None), filed(4, None), filed(5, "b")]
        error = await refusal(broker, *keyed, sold(0), sold(1))
        assert error.refused == (0, 1, 3, 4)
        assert error.taken == (6, 7)


async def test_another_topic_goes_on_beside_a_full_queue_and_is_published_once(tmp_path: Path) -> None:
    """Hundreds of messages of few keys are owed to the full queue; what is owed to the shop after them comes to it, and
    leaves the outbox, once each, however often the others are refused.
    """
    async with beside_a_bounded_queue() as (broker, _):
        signals = Signals()
        async with a_store(tmp_path) as store:
            await owe(store, *(filed(number, f"key {number % 3}") for number in range(700)))
            await owe(store, *(sold(number) for number in range(20)))
            async with relaying(store, broker, signals):
                await signals.reached(Point.PUBLISHED, topic="Sold", count=20, within="10s")
                refused = len(signals.troubles)
                await signals.troubled(count=refused + 3)
                await owe(store, sold(20))
                subscription, found = broker.subscribe(SHOP), list[str | None]()
                async with asyncio.timeout(20):
                    while "sold 20" not in found:
                        lot = await subscription.receive(100)
                        await subscription.acknowledge(lot)
                        found += [each.id for each in lot]
                await signals.reached(Point.PUBLISHED, topic="Sold", count=21)
                async with asyncio.timeout(10):
                    while "Sold" in [row.message.topic for row in await store.owed()]:
                        pass  # it is written down a moment later
        assert found == [f"sold {number}" for number in range(21)]


async def test_a_key_keeps_its_order_while_its_queue_is_now_full_and_now_not(tmp_path: Path) -> None:
    """Refused something, it is emptied by a reader that goes on: the reader has all of the key in order."""
    async with beside_a_bounded_queue() as (broker, bounded):
        signals = Signals()
        messages = [Message("Filed", "key", f"{number}", "/tests", None, f"{number}") for number in range(1500)]
        async with a_store(tmp_path) as store:
            await owe(store, *messages)
            async with relaying(store, broker, signals):
                await signals.troubled(count=1)
                found = await bounded.read(len(messages))
        assert found == [each.id for each in messages]
