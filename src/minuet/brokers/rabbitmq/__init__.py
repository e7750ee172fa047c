"""The RabbitMQ broker: a topic exchange, and for each service quorum queues that share its messages by their key.

A service has several queues, each with one consumer that is active at a time, and a consistent-hash exchange before
them: all messages of a key go through one queue to one worker, in order. The workers of a service share its queues;
what a worker held when it died or handed a queue over comes to the next one first.

The server pushes what there is and keeps nothing that was acknowledged: a service sees what is published from its
provisioning on, and no instance can be read back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from minuet.brokers.rabbitmq.address import Address
from minuet.brokers.rabbitmq.aside import aside_of
from minuet.brokers.rabbitmq.caution import Caution
from minuet.brokers.rabbitmq.connection import Channel, Connection
from minuet.brokers.rabbitmq.publishing import Publisher
from minuet.brokers.rabbitmq.subscription import RabbitSubscription
from minuet.brokers.rabbitmq.topology import Topology, queue_of
from minuet.errors import BrokerUnavailable, NeverUsed
from minuet.ports.broker import Capabilities, Change, Group, Logged, Message, Progress, refuse_large
from minuet.ports.examined import Examined
from minuet.ports.store import Store

__all__ = ["RabbitBroker"]

LARGEST_BYTES = 1024 * 1024
"""The largest body."""


class RabbitBroker:
    """A broker on one RabbitMQ server or cluster: `rabbitmq://user:password@host:5672/vhost`."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        order="key",
        persistent=True,
        replay=False,
        competing=True,
        groups="service",
        envelope="structured",
        joins=False,
        max_payload_bytes=LARGEST_BYTES,
        traceable=False,
        provisioned="on_request",
    )

    def __init__(self, address: Address) -> None:
        self._address = address
        self._topology = Topology(self._connect, address)
        self._subscriptions: list[RabbitSubscription] = []
        self._groups: dict[str, Group] = {}
        self._returning: list[tuple[str, int, float]] = []
        """Of each subscription that failed: its group, how many deliveries it had not settled, and until when, by the
        loop's clock, the server may take its connection for alive. They come again."""
        self._readers: dict[str, str] = {}
        self._unroutable: Counter[str] = Counter()
        self._caution = Caution()
        self._sending: Connection | None = None
        self._receiving: Connection | None = None
        self._publisher: Publisher | None = None
        self._speaker: Channel | None = None
        self._turn = asyncio.Lock()
        self._opened = False

    @classmethod
    def from_url(cls, url: str) -> RabbitBroker:
        """The broker of `rabbitmq://user:password@host:5672/vhost`, perhaps with `?exchange=`, `queues=`, `heartbeat=`,
        `tls=`, `ca=`, `cert=` and `key=`.
        """
        return cls(Address.from_url(url))

    def __repr__(self) -> str:
        return f"<RabbitBroker {self._address.shown}>"

    async def open(self, *, create: bool = True) -> None:
        self._opened = True
        connection = await self._to_send()
        if not create and not await self._topology.has_exchange(connection):
            await self.close()
            raise NeverUsed(
                f"RabbitMQ at {self._address.shown} has no exchange {self._address.exchange!r}: minuet has never used "
                "it. Check the URL's path and exchange=."
            )

    async def close(self) -> None:
        self._opened = False
        for subscription in list(self._subscriptions):
            await subscription.close()
        connections, self._sending, self._receiving = (self._sending, self._receiving), None, None
        self._publisher = self._speaker = None
        for connection in connections:
            if connection is not None:
                await connection.close()

    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        self._note(groups)
        return await self._topology.plan(groups)

    async def provision(self, groups: Sequence[Group]) -> None:
        await self._topology.provision(groups)
        self._note(groups)
        self._readers.update({topic: group.service for group in groups for topic in group.topics})

    def _note(self, groups: Sequence[Group]) -> None:
        self._groups.update({group.name: group for group in groups})

    async def publish(self, messages: Sequence[Message]) -> None:
        refuse_large(messages, self.capabilities.max_payload_bytes)
        if messages:
            publisher = self._publisher
            if publisher is None or publisher.lost:
                publisher = await self._to_publish()
            await publisher.publish(messages)

    def subscribe(self, group: Group) -> RabbitSubscription:
        self._note([group])
        subscription = RabbitSubscription(
            group, self._address.exchange, self._topology, self._to_receive, self._to_speak, self._ended
        )
        self._subscriptions.append(subscription)
        return subscription

    def _ended(self, subscription: RabbitSubscription) -> None:
        self._subscriptions.remove(subscription)
        if unsettled := subscription.left_unsettled:
            until = asyncio.get_running_loop().time() + 2 * self._address.heartbeat_seconds
            self._returning.append((subscription.group.name, unsettled, until))

    def joined(self, store: Store) -> None:
        """Never: it shares no transaction with any store."""
        return

    async def trim(self, before: float, now: float, keep: frozenset[str]) -> int:
        """Nothing is kept that could be forgotten."""
        return 0

    async def instance(self, correlation_id: str, *, quick: bool = False) -> list[Logged]:
        raise BrokerUnavailable(
            f"RabbitMQ at {self._address.shown} keeps nothing that was acknowledged, so nothing can be read back."
        )

    async def groups(self) -> list[Progress]:
        """The groups that this object was told of, and of each what nobody has been given and what was given to this
        process and is not acknowledged. What goes from one to the other while it looks counts twice.

        A queue does not tell what other workers were given and have not acknowledged. What this process had when it
        lost its connection counts until the server must have noticed, which is twice the heartbeat. In a cluster a
        message that its queue's leader has given away may be on its way here from another node, and be seen nowhere
        meanwhile.
        """
        return [Progress(group, await self._behind(group.name)) for group in list(self._groups.values())]

    async def _behind(self, group: str) -> int:
        # On the deliveries' connection, and first: what has left a queue by then is on its way here before the answer.
        waiting = await self._topology.waiting(await self._to_receive(), group)
        mine = [subscription for subscription in self._subscriptions if subscription.group.name == group]
        unsettled = sum([await subscription.unsettled() for subscription in mine])
        now = asyncio.get_running_loop().time()
        self._returning = [one for one in self._returning if one[2] > now]
        return waiting + unsettled + sum(number for name, number, _ in self._returning if name == group)

    async def examine(self) -> list[Examined]:
        blocked = None if self._sending is None else self._sending.blocked
        connection = await self._connect()  # one that is stopped answers nothing
        try:
            found = [
                Examined(
                    subject="rabbitmq.server",
                    well=True,
                    found=f"RabbitMQ {connection.version} answers at {self._address.shown}.",
                )
            ]
            for name in sorted(self._groups):
                found += await self._examined(connection, name)
        finally:
            await connection.close()
        if blocked is not None:
            found.append(
                Examined(
                    subject="rabbitmq.alarm",
                    well=False,
                    found=f"The server takes no messages: {blocked}.",
                    advice="Free memory or disk on it, or let its queues be emptied; what is owed waits in the outbox.",
                )
            )
        found += [
            Examined(
                subject="rabbitmq.unroutable",
                well=None,
                found=f"{times} messages on {topic} reached nobody, as far as this process has published.",
                advice="That is as it should be if no service takes them; otherwise provision the one that does.",
            )
            for topic, times in sorted(self._unroutable.items())
        ]
        return found

    async def _examined(self, connection: Connection, name: str) -> list[Examined]:
        exchange, topology = self._address.exchange, self._topology
        queues = (await topology.layout(connection, name)).queues
        depths = [await topology.depth(connection, queue_of(exchange, name, number)) for number in range(queues)]
        there = [depth for depth in depths if depth is not None]
        waiting, idle = sum(depth.waiting for depth in there), sum(not depth.consumers for depth in there)
        told = f"{name} has {len(there)} queues with {waiting} messages that nobody has been given"
        found = [
            Examined(
                subject="rabbitmq.queues",
                well=None if idle or not there else True,
                found=f"{told}, and {idle} of the queues have no worker." if idle else f"{told}.",
                advice="Start a worker of the service." if idle and waiting else None,
            )
        ]
        aside = await topology.depth(connection, aside_of(exchange, name))
        if aside is not None and aside.waiting:
            found.append(
                Examined(
                    subject="rabbitmq.aside",
                    well=False,
                    found=f"{aside.waiting} messages of topics that {name} has ceased to read are in the queue "
                    f"{aside_of(exchange, name)}.",
                    advice=f"Unbind those topics from {exchange}.{name}; then purge that queue, or move it back.",
                )
            )
        return found

    # -- connections

    async def _connect(self) -> Connection:
        return await Connection.connect(self._address)

    async def _to_send(self) -> Connection:
        """The connection that is published on. Not that of the deliveries: a server in need stops whoever publishes."""
        async with self._turn:
            self._refuse_closed()
            if self._sending is None or self._sending.lost is not None:
                self._sending = await self._connect()
            return self._sending

    async def _to_receive(self) -> Connection:
        async with self._turn:
            self._refuse_closed()
            if self._receiving is None or self._receiving.lost is not None:
                self._receiving = await self._connect()
            return self._receiving

    async def _to_publish(self) -> Publisher:
        connection = await self._to_send()
        async with self._turn:
            if self._publisher is None or self._publisher.lost:
                self._publisher = await Publisher.begin(
                    connection, self._address.exchange, self._readers, self._unroutable, self._caution
                )
            return self._publisher

    async def _to_speak(self) -> Channel:
        connection = await self._to_send()
        async with self._turn:
            if self._speaker is None or self._speaker.lost is not None:
                self._speaker = await connection.channel()
            return self._speaker

    def _refuse_closed(self) -> None:
        if not self._opened:
            raise BrokerUnavailable(f"{self!r} is not open. Open it first.")
