"""What minuet has made for an app on a RabbitMQ server, and that is to be forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pamqp import commands

from minuet.brokers.rabbitmq.address import Address
from minuet.brokers.rabbitmq.aside import aside_of
from minuet.brokers.rabbitmq.connection import Connection
from minuet.brokers.rabbitmq.topology import Topology, mark_of, members_of, queue_of
from minuet.ports.broker import Group


async def remove(address: Address, groups: Sequence[Group]) -> None:
    """Delete the exchange that an address names, and what these groups have behind it; what is gone already is gone.

    Raises BrokerUnavailable.
    """
    exchange = address.exchange
    topology = Topology(partial(Connection.connect, address), address)
    connection = await Connection.connect(address)
    try:
        exchanges, queues = [exchange, members_of(exchange)], list[str]()
        for group in groups:
            layout = await topology.layout(connection, group.name)
            queues += [queue_of(exchange, group.name, number) for number in range(layout.queues)]
            queues.append(aside_of(exchange, group.name))
            exchanges += [mark_of(exchange, group.name, layout.queues, topic) for topic in group.topics]
            exchanges.append(f"{exchange}.{group.name}")
        channel = await connection.channel()
        for name in exchanges:
            await channel.ask(commands.Exchange.Delete(exchange=name), commands.Exchange.DeleteOk)
        for name in queues:
            await channel.ask(commands.Queue.Delete(queue=name), commands.Queue.DeleteOk)
    finally:
        await connection.close()
