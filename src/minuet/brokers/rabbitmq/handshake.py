"""How a RabbitMQ server lets a client in, and what it says when it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
from pamqp import commands
from pamqp.base import Frame

from minuet.brokers.rabbitmq.frames import FRAME_BYTES
from minuet.errors import BrokerUnavailable

if TYPE_CHECKING:
    from minuet.brokers.rabbitmq.address import Address

LEAST = (3, 10)
"""The first version with message limits and redelivery of quorum queues as they are used here."""
CHANNELS = 2047


class Terms(msgspec.Struct, frozen=True):
    """What was agreed on."""

    version: str
    channels: int
    heartbeat_seconds: int


async def greet(address: Address, hear: Callable[[], Awaitable[Frame]], say: Callable[[Frame], None]) -> Terms:
    """Go through the handshake. Raises BrokerUnavailable with what is wrong and what to do."""
    start = await hear()
    if not isinstance(start, commands.Connection.Start):
        raise BrokerUnavailable(f"What listens at {address.shown} does not begin as RabbitMQ does. Check the port.")
    version = _version(start, address)
    say(
        commands.Connection.StartOk(
            client_properties={
                "product": "minuet",
                "capabilities": {
                    "authentication_failure_close": True,
                    "basic.nack": True,
                    "connection.blocked": True,
                    "consumer_cancel_notify": True,
                    "publisher_confirms": True,
                },
            },
            mechanism="PLAIN",
            response=f"\0{address.user}\0{address.password}",
            locale="en_US",
        )
    )
    try:
        tune = await hear()
    except BrokerUnavailable as error:
        raise _unauthorised(address, error) from None
    if not isinstance(tune, commands.Connection.Tune):
        raise _unauthorised(address, None)
    heartbeat = address.heartbeat_seconds
    channels = min(CHANNELS, tune.channel_max or CHANNELS)
    say(commands.Connection.TuneOk(channels, min(FRAME_BYTES, tune.frame_max or FRAME_BYTES), heartbeat))
    say(commands.Connection.Open(virtual_host=address.vhost))
    try:
        opened = await hear()
    except BrokerUnavailable as error:
        said = getattr(error, "said", str(error))
        raise BrokerUnavailable(
            f"RabbitMQ at {address.shown} does not let {address.user!r} into the virtual host {address.vhost!r}: {said}"
            ". Create it (rabbitmqctl add_vhost), allow the user (rabbitmqctl set_permissions), or correct the URL."
        ) from None
    if not isinstance(opened, commands.Connection.OpenOk):
        raise BrokerUnavailable(f"RabbitMQ at {address.shown} did not open the virtual host {address.vhost!r}.")
    return Terms(version, channels, heartbeat)


def _version(start: commands.Connection.Start, address: Address) -> str:
    said = start.server_properties or {}
    product, version = str(said.get("product", "")), str(said.get("version", ""))
    numbers = tuple(int(number) for number in version.split(".")[:2] if number.isdecimal())
    if product != "RabbitMQ" or numbers < LEAST:
        least = ".".join(map(str, LEAST))
        raise BrokerUnavailable(
            f"The server at {address.shown} is {product or 'something unnamed'} {version or 'of no version'}, and "
            f"rabbitmq:// needs RabbitMQ {least} or later. Upgrade it, or name another."
        )
    return version


def _unauthorised(address: Address, error: BrokerUnavailable | None) -> BrokerUnavailable:
    said = getattr(error, "said", None)
    return BrokerUnavailable(
        f"RabbitMQ at {address.shown} does not let {address.user!r} in{f': {said}' if said else ''}. Check the user "
        "and the password of the URL."
    )
