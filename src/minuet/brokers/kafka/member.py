"""This process as a member of one consumer group: a thread around the library's consumer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from minuet.brokers.kafka.failures import HOPELESS, logger, said
from minuet.brokers.kafka.intake import Intake, Where
from minuet.brokers.kafka.place import KafkaPlace
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Group

FETCH = 500
"""How many records are asked of the library at a time."""
LIBRARY_KILOBYTES = 8 * 1024
"""How much the library fetches ahead."""
FETCH_BYTES = 2 * 1024 * 1024
"""How much it asks a server for at a time; what has come is in memory beside what waits."""
POLL_SECONDS = 0.1
"""How often the thread looks whether it is to stop, or to commit, while nothing comes."""
COMMIT_SECONDS = 0.05
"""How long after it saw that something is done it commits that, with what is done meanwhile: not at once, because it
mostly sees it when the next delivery has come, and that is in a hurry."""
PATIENCE_SECONDS = 1.0
"""How long the library is left alone because nobody receives, before its partitions are paused."""
COMMITTED_SECONDS = 10.0
"""How long the group's offsets are waited for."""
LAST_COMMIT_SECONDS = 3.0
"""How long a member that leaves waits for its last commit."""
MISSING = frozenset((KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC))  # noqa: SLF001  # so it names it


class Member:
    """One membership, from its making to `close`. The library's consumer is called by its own thread alone."""

    def __init__(self, place: KafkaPlace, group: Group, topics: Mapping[str, str], wake: Callable[[], None]) -> None:
        self._place = place
        self._group = group
        self._topics = list(topics)
        self._loop = asyncio.get_running_loop()
        self._wake = wake
        self.intake = Intake(topics)
        self.failure: BrokerUnavailable | None = None
        """Why nothing more will come."""
        self._stopping = False
        self._committing = False
        self._commit_at: float | None = None
        """When to commit what is done, on the monotonic clock; None while nothing is known to be."""
        self._full_since: float | None = None
        self._all_paused = False
        self._held_back: set[Where] = set()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"minuet kafka {group.name}", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Member of {self._group.name}, {self.intake!r}>"

    async def close(self) -> None:
        """Commit what is acknowledged and leave the group."""
        with self.intake.lock:
            self._stopping = True
            self.intake.lock.notify_all()
        await asyncio.shield(self._ended)

    # -- the thread

    def _run(self) -> None:
        consumer: Consumer | None = None
        try:
            consumer = Consumer(self._config(), logger=logger)
            consumer.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            while not self._stopping and self.failure is None:
                self._step(consumer)
        except Exception as error:  # noqa: BLE001  # whatever the library raises
            self._fail(f"{error}")
        finally:
            try:
                if consumer is not None:
                    self._leave(consumer)
            except Exception as error:  # noqa: BLE001  # it is given up either way
                logger.warning("Leaving the group %s: %s", self._group.name, error)
            finally:
                self._tell(self._end)

    def _end(self) -> None:
        self.intake.close()  # a member, who shares it and its subscriptions hold each other: not soon looked for
        if not self._ended.done():
            self._ended.set_result(None)
        self._wake()

    def _tell(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(what)

    def _config(self) -> dict[str, Any]:
        session_ms = round(self._place.session_seconds * 1000)
        classic = {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_ms,
            # A member learns of a rebalance by its next heartbeat.
            "heartbeat.interval.ms": min(500, session_ms // 3),
        }
        return {
            "fetch.error.backoff.ms": 100,
            "queued.max.messages.kbytes": LIBRARY_KILOBYTES,
            "fetch.max.bytes": FETCH_BYTES,
            "socket.timeout.ms": 10_000,
            **(classic if self._place.protocol == "classic" else {"group.protocol": "consumer"}),
            **self._place.client(),
            "group.id": self._place.group_name(self._group.name),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "error_cb": self._on_error,
            "on_commit": self._on_commit,
        }

    def _step(self, consumer: Consumer) -> None:
        """Fetch once; commit if it is time."""
        if self.intake.full:
            self._wait_for_room(consumer)
        else:
            self._full_since = None
            if self._all_paused:
                self._all_paused = False
                consumer.resume([p for p in consumer.assignment() if (p.topic, p.partition) not in self._held_back])
            first = consumer.poll(self._patience())
            if first is not None:
                # `consume` alone would wait for as many as it was asked for.
                self._arrived(consumer, [first, *consumer.consume(FETCH, 0)])
            self._hold_back(consumer)
        if not self.intake.dirty:
            self._commit_at = None
        elif self._commit_at is None:
            self._commit_at = time.monotonic() + COMMIT_SECONDS
        elif not self._committing and time.monotonic() >= self._commit_at:
            self._commit(consumer, asynchronous=True)

    def _patience(self) -> float:
        """How many seconds to wait for a record."""
        if self._commit_at is None or self._committing:
            return POLL_SECONDS
        return min(max(self._commit_at - time.monotonic(), 0.0), POLL_SECONDS)

    def _wait_for_room(self, consumer: Consumer) -> None:
        """Nobody receives. The library is left alone for a while; then its partitions are paused, so that it can be
        asked for its callbacks, and this member stays one.
        """
        self._full_since = self._full_since or time.monotonic()
        if not self._all_paused and time.monotonic() - self._full_since > PATIENCE_SECONDS:
            self._all_paused = True
            consumer.pause(consumer.assignment())
        if self._all_paused and (late := consumer.poll(0)) is not None:
            self._arrived(consumer, [late])
        with self.intake.lock:
            self.intake.lock.wait_for(lambda: self._stopping or not self.intake.full, POLL_SECONDS)

    def _hold_back(self, consumer: Consumer) -> None:
        """Read no further where what is acknowledged could not be written down."""
        for where in list(self.intake.assigned):
            if self.intake.far_ahead(where) != (where in self._held_back):
                if where in self._held_back:
                    self._held_back.discard(where)
                    consumer.resume([TopicPartition(*where)])
                else:
                    self._held_back.add(where)
                    consumer.pause([TopicPartition(*where)])

    def _arrived(self, consumer: Consumer, records: list[Record]) -> None:
        """Hand these on in their order, and what the library says between them too."""
        begin = 0
        for place, record in enumerate(records):
            if (error := record.error()) is not None:
                self._fetched(records[begin:place])
                self._on_record_error(consumer, record, error)
                begin = place + 1
        self._fetched(records[begin:])

    def _fetched(self, records: list[Record]) -> None:
        if records and self.intake.arrived(records):
            self._tell(self._wake)

    # -- commits

    def _commit(self, consumer: Consumer, *, asynchronous: bool, wheres: Iterable[Where] | None = None) -> None:
        offsets = [TopicPartition(*where, offset, metadata) for where, offset, metadata in self.intake.commits(wheres)]
        if not offsets:
            return
        if not asynchronous:
            try:
                consumer.commit(offsets=offsets, asynchronous=False)
            except KafkaException as error:  # they come again, and are known
                logger.warning("The last commit of %s failed: %s", self._group.name, error)
            return
        self._committing, self._commit_at = True, None
        try:
            consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException:
            self._committing = False
            self.intake.not_committed([(each.topic, each.partition) for each in offsets])
            raise

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        self._committing = False
        failed = [each for each in offsets if error is not None or each.error is not None]
        if failed:
            logger.info("A commit of %s is repeated: %s", self._group.name, said(error or failed[0].error))
            self.intake.not_committed([(each.topic, each.partition) for each in failed])

    # -- rebalances

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if not partitions:
            return
        starts: list[TopicPartition] = []
        for found in consumer.committed(partitions, timeout=COMMITTED_SECONDS):
            if found.error is not None:
                raise KafkaException(found.error)
            where = (found.topic, found.partition)
            start = self.intake.assign(where, found.offset, found.metadata).start
            self._held_back.discard(where)
            starts.append(TopicPartition(*where, OFFSET_BEGINNING if start is None else start))
        consumer.incremental_assign(starts)
        # The library remembers of a partition that it was paused, also while it was somebody else's.
        (consumer.pause if self._all_paused else consumer.resume)(starts)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish what is held of these, within bounds, so that nobody else begins it; then write down what is done."""
        wheres = [(each.topic, each.partition) for each in partitions]
        self.intake.leave(wheres)
        with self.intake.lock:
            self.intake.lock.wait_for(
                lambda: self._stopping or not self.intake.held_of_leaving(), self._place.handover_seconds
            )
        self._commit(consumer, asynchronous=False, wheres=wheres)
        self.intake.drop(wheres)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Others have these already."""
        logger.warning("%s lost %d partitions: this process was silent for too long", self._group.name, len(partitions))
        self.intake.drop((each.topic, each.partition) for each in partitions)

    def _leave(self, consumer: Consumer) -> None:
        until = time.monotonic() + LAST_COMMIT_SECONDS
        while (self._committing or self.intake.dirty) and time.monotonic() < until and self.failure is None:
            if not self._committing:
                self._commit(consumer, asynchronous=True)
            consumer.poll(0.02)
        self._stopping = True
        consumer.close()

    def _begin_again(self, consumer: Consumer, where: Where, position: int) -> None:
        """Read a partition from its beginning, because there is nothing at its position."""
        beginning, _ = consumer.get_watermark_offsets(TopicPartition(*where), timeout=COMMITTED_SECONDS)
        if position >= beginning:  # not forgotten: other records stand where those stood that were fetched
            self.intake.restart(where)
        # The library has stopped this partition and does not seek in it.
        consumer.incremental_unassign([TopicPartition(*where)])
        consumer.incremental_assign([TopicPartition(*where, OFFSET_BEGINNING)])
        paused = self._all_paused or where in self._held_back
        (consumer.pause if paused else consumer.resume)([TopicPartition(*where)])

    # -- errors

    def _fail(self, why: str) -> None:
        self.failure = BrokerUnavailable(
            f"The group {self._group.name} cannot read from Kafka at {self._place.servers}: {why.rstrip('.')}."
        )
        self._tell(self._wake)

    def _on_error(self, error: KafkaError) -> None:
        """The library goes on by itself, unless no waiting mends it."""
        if error.fatal() or error.code() in HOPELESS:
            self._fail(said(error))
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  # so it names it
            logger.warning("No server of %s answers %s", self._place.servers, self._group.name)

    def _on_record_error(self, consumer: Consumer, record: Record, error: KafkaError) -> None:
        topic, partition = record.topic() or "", record.partition() or 0
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # so it names it
            if self.intake.ended((topic, partition), record.offset() or 0):
                self._tell(self._wake)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  # so it names it
            logger.error(
                "%s reads %s/%d from its beginning: what it had yet to read is not there any more (%s). Kafka's "
                "retention has forgotten it, or the topic was made anew",
                self._group.name, topic, partition, said(error),
            )  # fmt: skip
            self._begin_again(consumer, (topic, partition), record.offset() or 0)
        elif error.code() in MISSING:
            self._fail(f"the topic {topic} does not exist. Provision it, with `minuet run --provision`")
        elif error.fatal() or error.code() in HOPELESS:
            self._fail(f"{said(error)} (topic {topic})")
        else:
            logger.warning("Reading %s for %s: %s", topic, self._group.name, said(error))
