"""The cluster as an administrator sees it: whether it lets us in, which topics there are, how far groups have come.

Everything here blocks, and is called in a thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, cast

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import ListOffsetsResultInfo, OffsetSpec
from confluent_kafka.admin._metadata import ClusterMetadata, TopicMetadata
from confluent_kafka.cimpl import NewTopic

from minuet.brokers.kafka.failures import HOPELESS, error_in, logger, said
from minuet.brokers.kafka.names import kafka_name
from minuet.brokers.kafka.offsets import acknowledged_in
from minuet.brokers.kafka.place import KafkaPlace
from minuet.brokers.kafka.publisher import RECORD_BYTES
from minuet.errors import BrokerUnavailable, MinuetError
from minuet.ports.broker import Change, Group
from minuet.ports.examined import Examined

EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the library's
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
OPEN_SECONDS = 4.0
"""How long a cluster may take to answer at first."""
ANSWER_SECONDS = 10.0
"""How long any question may take."""
PARTITIONS = 6
"""How many a new topic has unless the URL says so."""
LOOK_SECONDS = 0.02
PASSING = frozenset(
    (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    )
)
"""What a cluster says of a topic or group while it moves or makes it."""
TOPIC_BYTES = RECORD_BYTES + 64 * 1024
"""The max.message.bytes of a new topic: the largest record, in a batch of its own."""


class _Admin(Protocol):
    """What is asked of the library's client, with the types of its answers."""

    def poll(self, timeout: float) -> int: ...

    def list_topics(self, *, timeout: float) -> ClusterMetadata: ...

    def create_topics(self, topics: list[NewTopic], *, operation_timeout: float) -> dict[str, Future[None]]: ...

    def list_consumer_group_offsets(
        self, asked: list[ConsumerGroupTopicPartitions]
    ) -> dict[str, Future[ConsumerGroupTopicPartitions]]: ...

    def list_offsets(
        self, asked: dict[TopicPartition, OffsetSpec], *, isolation_level: IsolationLevel
    ) -> dict[TopicPartition, Future[ListOffsetsResultInfo]]: ...


class Cluster:
    """One cluster, with a connection of its own for questions."""

    def __init__(self, place: KafkaPlace) -> None:
        self._place = place
        self._reasons: list[KafkaError] = []
        config: dict[str, Any] = {"socket.timeout.ms": 10_000, **place.client(), "error_cb": self._reasons.append}
        self._admin = cast(_Admin, AdminClient(config, logger=logger))

    def __repr__(self) -> str:
        return f"<Cluster {self._place.shown}>"

    def reach(self) -> None:
        """Raise BrokerUnavailable, in prose, unless a Kafka answers us."""
        until = time.monotonic() + OPEN_SECONDS
        while True:
            try:
                self._admin.list_topics(timeout=min(0.5, OPEN_SECONDS))
            except KafkaException:
                self._admin.poll(0)
                hopeless = next((each for each in self._reasons if each.code() in HOPELESS), None)
                if hopeless is None and time.monotonic() < until:
                    continue
                raise BrokerUnavailable(self._unreached(hopeless)) from None
            return

    def _unreached(self, hopeless: KafkaError | None) -> str:
        told = [each for each in self._reasons if each.code() != KafkaError._ALL_BROKERS_DOWN]  # noqa: SLF001
        if hopeless is not None:
            return (
                f"Kafka at {self._place.servers} does not let us in: {said(hopeless)}. Check user, password, "
                "?mechanism= and ?tls=."
            )
        why = said(told[-1]) if told else "it is silent"
        return (
            f"No Kafka answers at {self._place.servers} within {OPEN_SECONDS:g} s: {why}. Start it, or check the "
            "address, and whether it speaks TLS (?tls=on)."
        )

    # -- topics

    def topics(self) -> dict[str, TopicMetadata]:
        """Every topic that we may see."""
        try:
            found: dict[str, TopicMetadata] = self._admin.list_topics(timeout=ANSWER_SECONDS).topics
        except KafkaException as exception:
            raise BrokerUnavailable(
                f"Kafka at {self._place.servers} does not tell its topics: {said(error_in(exception))}."
            ) from exception
        return found

    def plan(self, topics: Iterable[str]) -> list[Change]:
        """What creating these topics would change, and what differs from the URL and is left."""
        there, changes = self.topics(), list[Change]()
        for topic in sorted(set(topics)):
            name = kafka_name(topic, self._place.prefix)
            if name not in there:
                changes.append(Change(what=f"topic {name}", how=f"create it: {self._shape()}"))
            elif (have := len(there[name].partitions)) < (self._place.partitions or 0):
                changes.append(
                    Change(
                        what=f"topic {name}",
                        how=f"raise it from {have} to {self._place.partitions} partitions",
                        refused=(
                            "keys would move to other partitions, and lose their order on the way. Declare "
                            f"?partitions={have}, or let every group read to its end, stop the publishers and raise it "
                            f"with kafka-topics --alter --topic {name} --partitions {self._place.partitions}"
                        ),
                    )
                )
        return changes

    def _shape(self) -> str:
        partitions, copies = self._place.partitions or PARTITIONS, self._place.replication
        kept = self._place.retention_seconds
        said_copies = (
            "copies as the cluster makes them" if copies is None else f"{copies} {'copy' if copies == 1 else 'copies'}"
        )
        said_kept = (
            "" if kept is None else ", kept forever" if kept == float("inf") else f", kept {kept / 86400:g} days"
        )
        return f"{partitions} partition{'s' if partitions > 1 else ''}, {said_copies}{said_kept}"

    def create(self, topics: Iterable[str]) -> None:
        """Create those of these topics that are missing; returns once each can be written."""
        names = {kafka_name(topic, self._place.prefix) for topic in topics}
        missing = sorted(names - self.topics().keys())
        if not missing:
            return
        config = {"max.message.bytes": str(TOPIC_BYTES)}
        if (kept := self._place.retention_seconds) is not None:
            config["retention.ms"] = "-1" if kept == float("inf") else str(round(kept * 1000))
        partitions, copies = self._place.partitions or PARTITIONS, self._place.replication or -1
        made = self._admin.create_topics(
            [NewTopic(name, partitions, copies, config=config) for name in missing], operation_timeout=ANSWER_SECONDS
        )
        for name, future in made.items():
            try:
                future.result(ANSWER_SECONDS)
            except KafkaException as exception:
                error = error_in(exception)
                if error is None or error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise BrokerUnavailable(
                        f"The topic {name} does not exist and could not be created: {said(error)}. Create it with "
                        f"{self._shape()}, or let somebody who may: minuet run --provision."
                    ) from exception
        self._wait_for(set(missing))

    def require(self, topics: Iterable[str]) -> None:
        """Raise unless these topics exist."""
        missing = {kafka_name(topic, self._place.prefix) for topic in topics} - self.topics().keys()
        if missing:
            raise MinuetError(
                f"Kafka has no topic {', '.join(sorted(missing))}, and ?create=off. Create each with {self._shape()}; "
                "what is published there waits."
            )

    def _wait_for(self, names: set[str]) -> None:
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            there = self.topics()
            led = {
                name for name in names & there.keys()
                if there[name].partitions and all(each.leader >= 0 for each in there[name].partitions.values())
            }  # fmt: skip
            if led == names:
                return
            time.sleep(LOOK_SECONDS)
        raise BrokerUnavailable(
            f"Kafka at {self._place.servers} has created {', '.join(sorted(names))}, and nobody leads their partitions "
            f"after {ANSWER_SECONDS:g} s. Look at its servers."
        )

    # -- groups

    def behind(self, group: Group) -> int:
        """How many messages a group has yet to have: what its commits do not say is done."""
        names = [kafka_name(topic, self._place.prefix) for topic in group.topics]
        there = self.topics()
        partitions = [
            TopicPartition(name, number) for name in names if name in there for number in there[name].partitions
        ]
        if not partitions:
            return 0
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return self._behind(self._place.group_name(group.name), partitions)
            except KafkaException as exception:
                error = error_in(exception)
                if error is not None and error.code() in PASSING and time.monotonic() < until:
                    time.sleep(LOOK_SECONDS)
                    continue
                raise BrokerUnavailable(
                    f"Kafka at {self._place.servers} does not tell how far {group.name} is: {said(error)}."
                ) from exception

    def _behind(self, group: str, partitions: list[TopicPartition]) -> int:
        asked = ConsumerGroupTopicPartitions(group, partitions)
        [future] = self._admin.list_consumer_group_offsets([asked]).values()
        committed = {
            (each.topic, each.partition): each for each in future.result(ANSWER_SECONDS).topic_partitions or ()
        }
        ends = self._offsets(partitions, LATEST)
        open_ends = [TopicPartition(*where) for where, end in ends.items() if committed[where].offset < end]
        starts = self._offsets(open_ends, EARLIEST) if open_ends else {}
        return sum(_left(committed[where], start, ends[where]) for where, start in starts.items())

    def _offsets(self, partitions: Sequence[TopicPartition], which: OffsetSpec) -> dict[tuple[str, int], int]:
        asked = self._admin.list_offsets(
            dict.fromkeys(partitions, which),
            isolation_level=IsolationLevel.READ_COMMITTED,
        )
        return {(each.topic, each.partition): future.result(ANSWER_SECONDS).offset for each, future in asked.items()}

    # -- for doctors

    def examine(self, groups: Sequence[Group]) -> list[Examined]:
        """The servers, the topics of these groups, and how far behind each group is."""
        there = self.topics()
        servers = len(self._admin.list_topics(timeout=ANSWER_SECONDS).brokers)
        found = [
            Examined(
                subject="kafka.servers",
                well=True if servers > 1 else None,
                found=f"The cluster has {servers} server{'s' if servers > 1 else ''}.",
                advice=None if servers > 1 else "With one server there is one copy of everything.",
            )
        ]
        names = sorted({kafka_name(topic, self._place.prefix) for group in groups for topic in group.topics})
        missing = [name for name in names if name not in there]
        if names:
            found.append(
                Examined(
                    subject="kafka.topics",
                    well=not missing,
                    found=f"Missing: {', '.join(missing)}." if missing else f"All {len(names)} topics are there.",
                    advice="Provision them: minuet run --provision." if missing else None,
                )
            )
        single = [name for name in names if name in there and _copies(there[name]) < 2]
        if single:
            found.append(
                Examined(
                    subject="kafka.copies",
                    well=None,
                    found=f"One copy only: {', '.join(single)}.",
                    advice="A server that is lost for good takes them along. New topics get ?replication=3.",
                )
            )
        for group in groups:
            behind = self.behind(group)
            found.append(
                Examined(
                    subject=f"kafka.group.{group.name}", well=True, found=f"{group.name} is {behind} messages behind."
                )
            )
        return found


def _copies(topic: TopicMetadata) -> int:
    return min((len(each.replicas) for each in topic.partitions.values()), default=0)


def _left(committed: TopicPartition, start: int, end: int) -> int:
    """How many offsets of a partition are not done: its messages, and what a reader has yet to find to be none."""
    begin = max(committed.offset, start)
    beyond = sum(1 for offset in acknowledged_in(committed.offset, committed.metadata) if begin <= offset < end)
    return max(0, end - begin - beyond)
