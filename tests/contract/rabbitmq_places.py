"""Queues and exchanges of tests on a RabbitMQ that others use too: taken away when their test is over."""

from pamqp import commands

from minuet.brokers.rabbitmq.address import Address
from minuet.brokers.rabbitmq.aside import aside_of
from minuet.brokers.rabbitmq.connection import Connection
from minuet.brokers.rabbitmq.topology import queue_of
from minuet.ports.broker import Group


async def forget(url: str, *groups: Group, most_queues: int = 8) -> None:
    """Delete what was provisioned for these groups; what is not there is no error."""
    address = Address.from_url(url)
    connection = await Connection.connect(address)
    channel = await connection.channel()
    for group in groups:
        names = [queue_of(address.exchange, group.name, number) for number in range(most_queues)]
        for queue in (*names, aside_of(address.exchange, group.name)):
            await channel.ask(commands.Queue.Delete(queue=queue), commands.Queue.DeleteOk)
        marks = [
            f"{address.exchange}.{group.name}.{number}.{topic}"
            for number in range(1, most_queues + 1)
            for topic in group.topics
        ]
        for exchange in (*marks, f"{address.exchange}.{group.name}"):
            await channel.ask(commands.Exchange.Delete(exchange=exchange), commands.Exchange.DeleteOk)
    await connection.close()
