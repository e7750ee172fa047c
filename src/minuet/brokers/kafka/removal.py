"""A prefix of a Kafka cluster that is to be forgotten: its topics, and the offsets of its groups."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Protocol, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from minuet.brokers.kafka.cluster import Cluster
from minuet.brokers.kafka.failures import error_in
from minuet.brokers.kafka.place import KafkaPlace
from minuet.errors import BrokerUnavailable

GONE_SECONDS = 30.0
"""How long topics may take to go, and members of a group that died to be missed."""
PAUSE_SECONDS = 0.2


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
        _delete_groups(admin, groups)
    except KafkaException as error:
        raise BrokerUnavailable(f"What {place.shown} names could not be deleted: {error}.") from error


def _delete_groups(admin: _Admin, groups: list[str]) -> None:
    until = time.monotonic() + GONE_SECONDS
    while groups:
        left: list[str] = []
        for group, deleted in admin.delete_consumer_groups(groups).items():
            try:
                deleted.result()
            except KafkaException as error:
                found = error_in(error)
                if found is None or found.code() != KafkaError.NON_EMPTY_GROUP or time.monotonic() > until:
                    raise
                left.append(group)
        groups = left
        time.sleep(PAUSE_SECONDS if left else 0.0)
