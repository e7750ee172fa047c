"""How far behind a group is, as RabbitMQ shows it to one of its workers."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

import msgspec
import pytest

from minuet.brokers.rabbitmq import RabbitBroker
from minuet.brokers.rabbitmq.address import Address
from minuet.brokers.rabbitmq.subscription import RabbitSubscription
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Delivery, Group, Message
from tests.contract.listening import hang_up
from tests.contract.rabbitmq_places import forget
from tests.contract.servers import needs, url_of

pytestmark = needs("rabbitmq")
TOPIC = "Asked.v1"


def message(number: int) -> Message:
    """One of its own key."""
    return Message(topic=TOPIC, key=str(number), id=str(number), source="/tests", headers={}, body=b"{}")


async def behind(broker: RabbitBroker) -> int:
    """What its one group has yet to have."""
    [progress] = await broker.groups()
    return progress.behind


class Line:
    """A way to the server, of which the server does not notice that it was cut."""

    port = 0

    async def __aenter__(self) -> Self:
        self.near: list[asyncio.StreamWriter] = []
        self.far: list[asyncio.StreamWriter] = []
        self.server = await asyncio.start_server(self.through, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await asyncio.gather(*map(hang_up, (*self.near, *self.far)))

    async def through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry both ways what is said."""
        address = Address.from_url(str(url_of("rabbitmq")))
        far_reader, far_writer = await asyncio.open_connection(address.host, address.port)
        self.near.append(writer)
        self.far.append(far_writer)
        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))

    def cut(self) -> None:
        """End what is there, on this side."""
        for end in self.near:
            end.close()
        self.near.clear()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say there what is heard here, as long as anything is heard."""
    with contextlib.suppress(ConnectionError):
        while said := await reader.read(65536):
            if not writer.is_closing():
                writer.write(said)


async def all_of(subscription: RabbitSubscription, number: int) -> list[Delivery]:
    """So many deliveries."""
    received: list[Delivery] = []
    while len(received) < number:
        received += await subscription.receive(number - len(received))
    return received


@asynccontextmanager
async def brokers(
    port: int | None = None, options: str = ""
) -> AsyncGenerator[tuple[RabbitBroker, RabbitBroker, Group]]:
    """Two processes' brokers, the first perhaps through a port of its own, and a group that both know of."""
    exchange = f"exchange=minuet-{uuid.uuid4().hex[:8]}"
    url = f"{url_of('rabbitmq')}?{exchange}{options}"
    address, group = Address.from_url(url), Group("asked", "asked", (TOPIC,))
    near = address if port is None else msgspec.structs.replace(address, host="127.0.0.1", port=port)
    one, other = RabbitBroker(near), RabbitBroker(address)
    await one.open()
    await one.provision([group])
    await other.open()
    await other.plan([group])
    try:
        yield one, other, group
    finally:
        await one.close()
        await other.close()
        await forget(url, group)


async def test_what_nobody_was_given_and_what_this_process_has_is_behind() -> None:
    """Before anybody subscribes, once everything is with a worker, and until each is acknowledged; and asking takes
    nothing.
    """
    async with brokers() as (broker, _, group):
        assert await behind(broker) == 0
        await broker.publish([message(number) for number in range(40)])
        assert await behind(broker) == 40
        subscription = broker.subscribe(group)
        received = await all_of(subscription, 40)
        assert await behind(broker) == 40
        await subscription.release(received[30:])
        assert await behind(broker) == 40
        for number, one in enumerate(received[:30]):
            await subscription.acknowledge([one])
            assert await behind(broker) == 39 - number
        await subscription.acknowledge(await all_of(subscription, 10))
        assert await behind(broker) == 0


async def test_what_is_on_its_way_to_this_process_is_behind() -> None:
    """Whenever it is asked, what was published is in a queue, or here: nothing is seen nowhere."""
    async with brokers() as (broker, _, group):
        subscription = broker.subscribe(group)
        for number in range(100):
            await broker.publish([message(number)])
            assert await behind(broker) == 1
            await subscription.acknowledge(await subscription.receive(1))
            assert await behind(broker) == 0


async def test_what_comes_again_after_a_lost_connection_is_behind() -> None:
    """While the server takes the connection for alive, and until what comes again is acknowledged."""
    async with Line() as line, brokers(line.port, "&heartbeat=1") as (broker, _, group):
        await broker.publish([message(number) for number in range(5)])
        subscription = broker.subscribe(group)
        await all_of(subscription, 5)
        line.cut()
        with pytest.raises(BrokerUnavailable):
            await subscription.receive(1)
        assert await behind(broker) == 5
        await subscription.close()
        assert await behind(broker) == 5
        again = broker.subscribe(group)
        for left in range(5, 0, -1):
            received = await again.receive(1)
            assert await behind(broker) >= left
            await again.acknowledge(received)
        async with asyncio.timeout(10):
            while await behind(broker):
                assert again.group == group


async def test_what_another_process_has_is_not_seen() -> None:
    """A queue does not tell it; it is seen again when that process gives it back."""
    async with brokers() as (broker, other, group):
        await broker.publish([message(0)])
        subscription = other.subscribe(group)
        await subscription.receive(1)
        assert (await behind(other), await behind(broker)) == (1, 0)
        await subscription.close()
        mine = broker.subscribe(group)
        [again] = await mine.receive(1)
        assert again.id == "0"
        assert await behind(broker) == 1
