"""A producer of another make, in transactions: what it commits ends with a mark, and what it aborts lies there too."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from confluent_kafka import IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from minuet.brokers.kafka.cluster import LATEST
from minuet.brokers.kafka.place import KafkaPlace

ANSWER_SECONDS = 20.0


class Foreigner:
    """Writes into the topics of a place. Each call blocks until the transaction has ended, its mark included."""

    def __init__(self, place: KafkaPlace) -> None:
        self._admin = AdminClient(place.client())
        self._producer = Producer({**place.client(), "transactional.id": f"{place.prefix}{uuid.uuid4().hex}"})
        self._producer.init_transactions(ANSWER_SECONDS)

    def commit(self, topic: str, events: Iterable[tuple[str, bytes]]) -> None:
        """A transaction of these keys and bodies."""
        with self.open(topic, events):
            pass

    @contextmanager
    def open(self, topic: str, events: Iterable[tuple[str, bytes]]) -> Iterator[None]:
        """All of it is written, and committed at the end."""
        self._write(topic, events)
        yield
        self._producer.commit_transaction(ANSWER_SECONDS)
        self._until_marked(topic)

    def abort(self, topic: str, events: Iterable[tuple[str, bytes]]) -> None:
        """The same, given up once all of it was written."""
        self._write(topic, events)
        self._producer.abort_transaction(ANSWER_SECONDS)
        self._until_marked(topic)

    def _write(self, topic: str, events: Iterable[tuple[str, bytes]]) -> None:
        self._producer.begin_transaction()
        for key, body in events:
            self._producer.produce(topic, body, key, headers={"content-type": "application/cloudevents+json"})
        assert self._producer.flush(ANSWER_SECONDS) == 0

    def _until_marked(self, topic: str) -> None:
        """The server answers before it writes the mark; until then what is committed ends before what is written."""
        patience = time.monotonic() + ANSWER_SECONDS
        while self._ends(topic, IsolationLevel.READ_COMMITTED) != self._ends(topic, IsolationLevel.READ_UNCOMMITTED):
            assert time.monotonic() < patience, f"the transaction in {topic} never ended"

    def _ends(self, topic: str, isolation: IsolationLevel) -> dict[int, int]:
        partitions = self._admin.list_topics(topic, ANSWER_SECONDS).topics[topic].partitions
        asked = {TopicPartition(topic, number): LATEST for number in partitions}
        found = self._admin.list_offsets(asked, isolation_level=isolation).items()
        return {partition.partition: future.result(ANSWER_SECONDS).offset for partition, future in found}


def event(kind: str, key: str, **data: object) -> tuple[str, bytes]:
    """The key and the body of an event of this type, as other makes write it."""
    body = {"specversion": "1.0", "id": uuid.uuid4().hex, "source": "/elsewhere", "type": kind, "data": data}
    return key, json.dumps({**body, "datacontenttype": "application/json"}).encode()
