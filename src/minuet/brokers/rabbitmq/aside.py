"""Messages of a topic that a service has ceased to read: put where nothing is lost and nothing stands in their way.

A worker holds what it cannot take for as long as it can, for a worker of a newer version may be about to come. Then it
goes to a queue that nobody reads.
"""

from __future__ import annotations

import asyncio

import msgspec
from pamqp import commands

from minuet.brokers.rabbitmq import frames
from minuet.brokers.rabbitmq.connection import Connection
from minuet.errors import BrokerUnavailable

HOLD_SECONDS = 600.0
"""A server ends a consumer that has not acknowledged a delivery for half an hour."""
MOST_HELD = 64
"""How many a lane holds: half of what it may have, so that the rest goes on."""


class Strange(msgspec.Struct, frozen=True):
    """A message that its worker does not read."""

    topic: str
    tag: int
    header: bytes
    body: bytes
    since: float


def aside_of(exchange: str, group: str) -> str:
    """The queue for what a service has ceased to read."""
    return f"{exchange}.{group}.aside"


async def set_aside(connection: Connection, queue: str, message: Strange) -> None:
    """Put a message into that queue, as it is; when this returns it is safe there."""
    channel = await connection.channel()
    confirmed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def heard(_number: int, _multiple: bool, taken: bool) -> None:  # noqa: FBT001  # as the channel says it
        if not confirmed.done():
            confirmed.set_result(taken)

    def ended(error: BrokerUnavailable) -> None:
        if not confirmed.done():
            confirmed.set_exception(error)

    channel.confirmed, channel.ended = heard, ended
    try:
        await channel.ask(
            commands.Queue.Declare(queue=queue, durable=True, arguments={"x-queue-type": "quorum"}),
            commands.Queue.DeclareOk,
        )
        await channel.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)
        method = frames.publishing(channel.number, "", queue)
        channel.send(method + frames.content(channel.number, message.header[12:], message.body))
        if not await confirmed:
            raise BrokerUnavailable(f"{connection!r} did not take what is set aside into {queue}.")
    finally:
        confirmed.cancel()
        channel.ended = lambda _: None
        await channel.close()
