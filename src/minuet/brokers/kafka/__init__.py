"""The Kafka broker: a topic for each event type, a consumer group for each service, order by key within a partition.

Deliveries are acknowledged in any order: a group's commit says up to where everything is done, and beside it what is
done beyond. Who loses a partition finishes what it holds of it first, within bounds; what it finishes later, the inbox
knows. See decision 14.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from minuet.brokers.kafka.cluster import Cluster
from minuet.brokers.kafka.member import Member
from minuet.brokers.kafka.names import kafka_name
from minuet.brokers.kafka.place import KafkaPlace
from minuet.brokers.kafka.publisher import Publisher
from minuet.brokers.kafka.subscription import KafkaSubscription, Sharing
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Capabilities, Change, Group, Logged, Message, Progress, refuse_large
from minuet.ports.examined import Examined
from minuet.ports.store import Store

__all__ = ["KafkaBroker"]

LARGEST_BYTES = 1024 * 1024
"""The largest body."""


class KafkaBroker:
    """A broker in one Kafka cluster: `kafka://user:password@host:9092,host:9092/?option=value`."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        order="key",
        persistent=True,
        replay=True,
        competing=True,
        groups="service",
        envelope="structured",
        joins=False,
        max_payload_bytes=LARGEST_BYTES,
        provisioned="on_request",
    )

    def __init__(self, place: KafkaPlace) -> None:
        self.place = place
        self._cluster: Cluster | None = None
        self._publisher: Publisher | None = None
        self._sharings: list[Sharing] = []
        self._groups: dict[str, Group] = {}
        self._names: dict[str, str] = {}
        """Kafka's name of each topic that is known to exist."""

    @classmethod
    def from_url(cls, url: str) -> KafkaBroker:
        """The broker of `kafka://host:9092`, with the options of `KafkaPlace`."""
        return cls(KafkaPlace.from_url(url))

    def __repr__(self) -> str:
        return f"<KafkaBroker {self.place.shown}>"

    async def open(self, *, create: bool = True) -> None:
        cluster = Cluster(self.place)
        await asyncio.to_thread(cluster.reach)
        self._cluster, self._publisher = cluster, Publisher(self.place)

    async def close(self) -> None:
        for sharing in self._sharings:
            for subscription in list(sharing.subscriptions):
                await subscription.close()
        self._sharings = []
        publisher, self._publisher, self._cluster = self._publisher, None, None
        if publisher is not None:
            await publisher.close()

    def _opened(self) -> Cluster:
        if self._cluster is None:
            raise BrokerUnavailable(f"{self!r} is not open. Open it first.")
        return self._cluster

    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        self._know(groups)
        return await asyncio.to_thread(self._opened().plan, _topics(groups))

    async def provision(self, groups: Sequence[Group]) -> None:
        refused = [change for change in await self.plan(groups) if change.refused is not None]
        if refused:
            raise BrokerUnavailable(
                "Nothing was provisioned: "
                + "; ".join(f"{change.what} is not to {change.how}, because {change.refused}" for change in refused)
                + "."
            )
        await asyncio.to_thread(self._opened().create, _topics(groups))

    def _know(self, groups: Sequence[Group]) -> None:
        self._groups.update((group.name, group) for group in groups)

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        refuse_large(messages, LARGEST_BYTES)
        publisher, names = self._publisher, self._names
        if publisher is None:
            raise BrokerUnavailable(f"{self!r} is not open. Open it first.")
        if unknown := {message.topic for message in messages} - names.keys():
            # What nobody reads yet is kept all the same, in a topic as the URL declares it, not as a server happens to.
            make_sure = self._opened().create if self.place.create else self._opened().require
            await asyncio.to_thread(make_sure, unknown)
            names.update((topic, kafka_name(topic, self.place.prefix)) for topic in unknown)
        try:
            await publisher.publish(messages, names)
        except Exception:
            self._names = {}
            raise

    def subscribe(self, group: Group) -> KafkaSubscription:
        self._opened()
        self._know([group])
        self._sharings = [sharing for sharing in self._sharings if sharing.subscriptions]
        sharing = next((sharing for sharing in self._sharings if sharing.goes_on(group)), None)
        if sharing is None:
            sharing = Sharing(partial(self._join, group), group)
            self._sharings.append(sharing)
        return KafkaSubscription(sharing)

    def _join(self, group: Group, wake: Callable[[], None]) -> Member:
        topics = {kafka_name(topic, self.place.prefix): topic for topic in group.topics}
        return Member(self.place, group, topics, wake)

    def joined(self, store: Store) -> None:
        return None

    async def trim(self, before: float, now: float, keep: frozenset[str]) -> int:
        """Forget nothing: Kafka's own retention does, by topic (`?retention=30d` for new ones)."""
        return 0

    async def instance(self, correlation_id: str, *, quick: bool = False) -> list[Logged]:
        raise BrokerUnavailable(
            f"{self!r} has no index by correlation id, so an instance's messages cannot be read back from it."
        )

    async def groups(self) -> list[Progress]:
        """The groups that this object was told of, and how far behind each is."""
        cluster, groups = self._opened(), list(self._groups.values())
        return [Progress(group, await asyncio.to_thread(cluster.behind, group)) for group in groups]

    async def examine(self) -> list[Examined]:
        return await asyncio.to_thread(self._opened().examine, list(self._groups.values()))


def _topics(groups: Sequence[Group]) -> set[str]:
    return {topic for group in groups for topic in group.topics}
