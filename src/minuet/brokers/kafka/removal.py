"""A prefix of a Kafka cluster that is to be forgotten: its topics, and the offsets of its groups."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol, cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from minuet.brokers.kafka.cluster import Cluster
from minuet.brokers.kafka.place import KafkaPlace
from minuet.errors import BrokerUnavailable

GONE_SECONDS = 30.0


class _Admin(Protocol):
    """What is used of confluent-kafka's client, whose own types are loose."""

    def delete_topics(self, topics: list[str], *, operation_timeout: float) -> dict[str, Future[None]]: ...

    def list_consumer_groups(self) -> Future[_Listed]: ...

    def delete_consumer_groups(self, groups: list[str]) -> dict[str, Future[None]]: ...


class _Listed(Protocol):
    @property
    def valid(self) -> list[_Group]: ...


class _Group(Protocol):
    @property
    def group_id(self) -> str: ...


def remove(place: KafkaPlace) -> None:
    """Delete every topic and every group whose name begins with the place's prefix. Raises BrokerUnavailable."""
    if not place.prefix:
        raise BrokerUnavailable(f"{place.shown} names no prefix, and minuet deletes no topics that it was not told of.")
    admin = cast(_Admin, AdminClient(place.client()))
    topics = [name for name in Cluster(place).topics() if name.startswith(place.prefix)]
    try:
        if topics:
            for deleted in admin.delete_topics(topics, operation_timeout=GONE_SECONDS).values():
                deleted.result()
        listed = admin.list_consumer_groups().result()
        groups = [group.group_id for group in listed.valid if group.group_id.startswith(place.prefix)]
        if groups:
            for deleted in admin.delete_consumer_groups(groups).values():
                deleted.result()
    except KafkaException as error:
        raise BrokerUnavailable(f"What {place.shown} names could not be deleted: {error}.") from error
