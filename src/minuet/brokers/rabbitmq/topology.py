"""The exchanges and queues of a service: what they are called, what is missing, and how they are made.

    minuet                          topic exchange, where everything is published, by its topic
    minuet.payments                 consistent-hash exchange, bound to it by the topics that payments reads
    minuet.payments.0 ... .7        quorum queues behind that, each with one consumer that is active
    minuet.payments.8.OrderPlaced   says that this topic is bound to all of 8 queues; no message passes through it
    minuet..members                 direct exchange, through which the workers of a service know of each other

AMQP tells of a queue or an exchange whether it is there, and of a binding nothing. So the last thing that provisioning
makes for a topic is the exchange that says it is bound.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, Literal

import msgspec
from pamqp import commands
from pamqp.base import Frame

from minuet.brokers.rabbitmq.address import Address
from minuet.brokers.rabbitmq.carrying import KEY
from minuet.brokers.rabbitmq.connection import (
    ACCESS_REFUSED,
    COMMAND_INVALID,
    NOT_FOUND,
    PRECONDITION_FAILED,
    Channel,
    Connection,
    Refused,
)
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Change, Group

QUEUES = 8
HASHING = "x-consistent-hash"
PLUGIN = "rabbitmq_consistent_hash_exchange"
ENDLESS = 2**31 - 1
QUEUE_ARGUMENTS: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-single-active-consumer": True,
    "x-delivery-limit": ENDLESS,  # RabbitMQ 4 would drop a message at the twentieth delivery
}
"""What a queue is made with, and what one that is there must have been made with."""


class Depth(msgspec.Struct, frozen=True):
    """A queue as the server sees it."""

    waiting: int
    consumers: int


class Layout(msgspec.Struct, frozen=True):
    """What is there of a group."""

    queues: int
    hashed: bool


def queue_of(exchange: str, group: str, number: int) -> str:
    """The name of one of a group's queues."""
    return f"{exchange}.{group}.{number}"


def members_of(exchange: str) -> str:
    """The exchange through which workers know of each other."""
    return f"{exchange}..members"


def mark_of(exchange: str, group: str, queues: int, topic: str) -> str:
    """The exchange that says by being there that a topic is bound for so many of a group's queues."""
    return f"{exchange}.{group}.{queues}.{topic}"


class Topology:
    """Looks at a server, and makes what is missing. What may end a channel is asked on one of its own."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], address: Address) -> None:
        self._connect = connect
        self._address = address
        self._exchange = address.exchange

    # -- looking

    async def depth(self, connection: Connection, queue: str) -> Depth | None:
        """How a queue is, None if there is none."""
        found = await self._passive(connection, commands.Queue.Declare(queue=queue, passive=True))
        return None if found is None else Depth(found.message_count or 0, found.consumer_count or 0)

    async def waiting(self, connection: Connection, group: str) -> int:
        """How many messages of a group nobody has been given."""
        channel, waiting = await connection.channel(), 0
        try:
            for number in count():
                queue = commands.Queue.Declare(queue=queue_of(self._exchange, group, number), passive=True)
                waiting += (await channel.ask(queue, commands.Queue.DeclareOk)).message_count or 0
        except Refused as refusal:  # there is no queue of that number
            if refusal.code != NOT_FOUND:
                raise
        finally:
            await channel.close()
        return waiting

    async def layout(self, connection: Connection, group: str) -> Layout:
        """How many queues a group has, and whether they share its messages by key."""
        queues = 0
        while await self.depth(connection, queue_of(self._exchange, group, queues)) is not None:
            queues += 1
        return Layout(queues, await self._is_exchange(connection, f"{self._exchange}.{group}"))

    async def has_exchange(self, connection: Connection) -> bool:
        """Whether the exchange is there that everything is published to."""
        return await self._is_exchange(connection, self._exchange)

    async def _is_exchange(self, connection: Connection, name: str) -> bool:
        return await self._passive(connection, commands.Exchange.Declare(exchange=name, passive=True)) is not None

    async def _passive(self, connection: Connection, method: Frame) -> Any:
        refusal, found = await self._try(connection, method)
        if refusal is None:
            return found
        if refusal.code == NOT_FOUND:
            return None
        raise BrokerUnavailable(f"{connection!r} cannot be looked into: {refusal.said}. Check the user's permissions.")

    async def _try(self, connection: Connection, method: Frame) -> tuple[Refused | None, Any]:
        answer = commands.Queue.DeclareOk if isinstance(method, commands.Queue.Declare) else commands.Exchange.DeclareOk
        channel = await connection.channel()
        try:
            found = await channel.ask(method, answer)
        except Refused as refusal:
            if connection.lost is not None and refusal.code != COMMAND_INVALID:
                raise
            return refusal, None
        await channel.close()
        return None, found

    # -- planning

    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        """What is missing, and what is there and is of another kind."""
        connection = await self._connect()
        try:
            changes = [
                *await self._planned_exchange(connection, self._exchange, "topic", "create it: topic, durable"),
                *await self._planned_exchange(
                    connection, members_of(self._exchange), "direct", "create it: direct, durable"
                ),
            ]
            for group in groups:
                changes += await self._planned_group(connection, group)
            return changes
        finally:
            await connection.close()

    async def _planned_exchange(self, connection: Connection, name: str, kind: str, how: str) -> list[Change]:
        what = f"exchange {name}"
        if not await self._is_exchange(connection, name):
            return [Change(what=what, how=how)]
        refusal, _ = await self._try(connection, _exchange(name, kind))
        return [] if refusal is None else [self._refused(what, how, refusal)]

    def _refused(self, what: str, how: str, refusal: Refused) -> Change:
        advice = (
            "Allow the user to configure it (rabbitmqctl set_permissions)."
            if refusal.code == ACCESS_REFUSED
            else "What has this name is of another kind and may be somebody's: minuet leaves it. Delete it if nobody "
            "needs it, or choose another exchange= in the URL."
        )
        return Change(what=what, how=how, refused=f"The server said {refusal.said}. {advice}")

    async def _planned_group(self, connection: Connection, group: Group) -> list[Change]:
        layout = await self.layout(connection, group.name)
        queues = self._queues(layout)
        changes: list[Change] = []
        if self._is_hashed(layout, queues):
            name = f"{self._exchange}.{group.name}"
            how = f"create it: {HASHING}, durable, by the key of a message"
            found = await self._planned_exchange(connection, name, HASHING, how)
            if found and not layout.hashed and (refused := await self._without_plugin(name, how)):
                found = [refused]
            changes += found
        for number in range(queues):
            what = f"queue {queue_of(self._exchange, group.name, number)}"
            if number >= layout.queues:
                changes.append(Change(what=what, how=_created(layout, queues)))
                continue
            refusal, _ = await self._try(connection, _queue(self._exchange, group.name, number))
            if refusal is not None:
                changes.append(self._refused(what, "use it: quorum, single active consumer", refusal))
        for topic in group.topics:
            if problem := unusable(topic):
                changes.append(Change(what=f"topic {topic}", how="bind it", refused=problem))
            elif not await self._is_exchange(connection, mark_of(self._exchange, group.name, queues, topic)):
                changes.append(Change(what=f"topic {topic}", how=f"bind it to the queues of {group.name}"))
        return changes

    def _queues(self, layout: Layout) -> int:
        """How many queues there shall be: what is there, or more of them when the URL says so."""
        return max(layout.queues, self._address.queues or (0 if layout.queues else QUEUES))

    def _is_hashed(self, layout: Layout, queues: int) -> bool:
        return layout.hashed or queues > 1

    async def _without_plugin(self, name: str, how: str) -> Change | None:
        """Why a consistent-hash exchange cannot be made here, None if it can. Asked of an exchange that is there."""
        connection = await self._connect()  # a type that the server does not know ends the connection
        try:
            refusal, _ = await self._try(connection, _exchange("amq.topic", HASHING))
        finally:
            await connection.close()
        if refusal is None or refusal.code in (PRECONDITION_FAILED, ACCESS_REFUSED):
            return None
        return Change(
            what=f"exchange {name}",
            how=how,
            refused=f"The server's plugin {PLUGIN} is not enabled, which shares out messages by their key. Enable it "
            f"(rabbitmq-plugins enable {PLUGIN}; it comes with the server), or write queues=1 into the URL: then one "
            "worker of a service works at a time.",
        )

    # -- making

    async def provision(self, groups: Sequence[Group]) -> None:
        """Make what is missing. Raises BrokerUnavailable for what the plan refuses, and has changed nothing then."""
        changes = await self.plan(groups)
        if refused := [change for change in changes if change.refused is not None]:
            told = " ".join(f"{change.what}: {change.refused}" for change in refused)
            raise BrokerUnavailable(f"RabbitMQ at {self._address.shown} cannot be provisioned. {told}")
        if not changes:
            return
        connection = await self._connect()
        try:
            layouts = [await self.layout(connection, group.name) for group in groups]
            channel = await connection.channel()
            await channel.ask(_exchange(self._exchange, "topic"), commands.Exchange.DeclareOk)
            await channel.ask(_exchange(members_of(self._exchange), "direct"), commands.Exchange.DeclareOk)
            for group, layout in zip(groups, layouts, strict=True):
                await self._make(channel, group, layout)
        finally:
            await connection.close()

    async def _make(self, channel: Channel, group: Group, layout: Layout) -> None:
        exchange, name, queues = self._exchange, group.name, self._queues(layout)
        behind = f"{exchange}.{name}"
        hashed = self._is_hashed(layout, queues)
        if hashed:
            await channel.ask(_exchange(behind, HASHING), commands.Exchange.DeclareOk)
        for number in range(queues):
            queue = queue_of(exchange, name, number)
            await channel.ask(_queue(exchange, name, number), commands.Queue.DeclareOk)
            if hashed:
                await channel.ask(
                    commands.Queue.Bind(queue=queue, exchange=behind, routing_key="1"), commands.Queue.BindOk
                )
        for topic in group.topics:
            if hashed:
                await channel.ask(
                    commands.Exchange.Bind(destination=behind, source=exchange, routing_key=topic),
                    commands.Exchange.BindOk,
                )
            # Without the other exchange its one queue stood in its place, and would get everything twice.
            queue = queue_of(exchange, name, 0)
            direct = {"queue": queue, "exchange": exchange, "routing_key": topic}
            if hashed:
                await channel.ask(commands.Queue.Unbind(**direct), commands.Queue.UnbindOk)  # type: ignore[arg-type]
            else:
                await channel.ask(commands.Queue.Bind(**direct), commands.Queue.BindOk)  # type: ignore[arg-type]
            mark = commands.Exchange.Declare(
                exchange=mark_of(exchange, name, queues, topic), exchange_type="fanout", durable=True, internal=True
            )
            await channel.ask(mark, commands.Exchange.DeclareOk)


def _created(layout: Layout, queues: int) -> str:
    how = "create it: quorum, single active consumer"
    if not layout.queues:
        return how
    return (
        f"{how}. With {queues} queues instead of {layout.queues} some keys change their queue, and an event may "
        "overtake one of its key that still waits in the old one: let the queues run empty first"
    )


def unusable(topic: str) -> str | None:
    """Why a topic cannot be a routing key here, None if it can."""
    if len(topic.encode()) > 150:
        return "It has more than 150 bytes, and AMQP has no room for the names that are made of it. Name it shorter."
    if {"*", "#"} & set(topic.split(".")):
        return "The words * and # stand for others in a topic exchange. Name it otherwise."
    return None


def _exchange(name: str, kind: Literal["topic", "direct", "x-consistent-hash"] | str) -> commands.Exchange.Declare:
    arguments: dict[str, Any] = {"hash-header": KEY} if kind == HASHING else {}
    return commands.Exchange.Declare(exchange=name, exchange_type=kind, durable=True, arguments=arguments)


def _queue(exchange: str, group: str, number: int) -> commands.Queue.Declare:
    return commands.Queue.Declare(queue=queue_of(exchange, group, number), durable=True, arguments=QUEUE_ARGUMENTS)
