"""The producer of one process: batches that are acknowledged as a whole, waited for in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Record

from minuet.brokers.kafka.failures import error_in, logger, not_published
from minuet.brokers.kafka.place import KafkaPlace
from minuet.brokers.kafka.wire import headers_of
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Message

IDLE_SECONDS = 1.0
"""How often a producer that has nothing to do says what its library logged."""
RECORD_BYTES = 2 * 1024 * 1024
"""The largest record: the largest body, and headers."""


class _Batch:
    """What of one batch was not acknowledged."""

    __slots__ = ("error", "topic")

    def __init__(self) -> None:
        self.error: KafkaError | None = None
        self.topic = ""

    def report(self, error: KafkaError | None, record: Record) -> None:
        """Called for each that failed; the first says why."""
        if self.error is None and error is not None:
            self.error, self.topic = error, record.topic() or ""


class Publisher:
    """Publishes batches: all of one is produced, then waited for together.

    A batch is flushed at once, so that nothing lingers; what comes from elsewhere meanwhile goes with the next flush.
    What is not acknowledged in time is purged together with everything behind it, and a new producer takes over: of
    each partition a beginning was written, perhaps, and never a later message without an earlier one.
    """

    def __init__(self, place: KafkaPlace) -> None:
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Producer, asyncio.Future[int]] | None] = queue.SimpleQueue()
        self.producer = self._make()
        self._thread = threading.Thread(target=self._work, name="minuet kafka publisher", daemon=True)
        self._thread.start()

    def _make(self) -> Producer:
        return Producer(
            {
                "linger.ms": 5,  # flushed before, always
                "batch.num.messages": 10_000,
                "message.max.bytes": RECORD_BYTES,
                "compression.type": "none",
                **self._place.client(),
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "partitioner": "murmur2_random",
                "delivery.report.only.error": True,
                "error_cb": _ignored,
            },
            logger=logger,
        )

    async def publish(self, messages: Sequence[Message], names: Mapping[str, str]) -> None:
        """Publish to topics by Kafka's `names` for them. Returns once each is acknowledged by every copy in sync."""
        producer, batch = self.producer, _Batch()
        produce, failed = producer.produce, batch.report
        left = 0
        for message in messages:
            topic = names[message.topic]
            try:
                try:
                    produce(topic, message.body, message.key, on_delivery=failed, headers=headers_of(message))
                except BufferError:  # the library holds as much as it may: what it holds goes first
                    left = await self._flushed(producer)
                    if left or batch.error is not None:
                        break
                    produce(topic, message.body, message.key, on_delivery=failed, headers=headers_of(message))
            except KafkaException as exception:
                await self._flushed(producer)
                error = error_in(exception)
                raise not_published(error, topic) if error is not None else exception from exception
        left = left or await self._flushed(producer)
        if batch.error is not None:
            raise not_published(batch.error, batch.topic)
        if left:
            raise BrokerUnavailable(
                f"Kafka at {self._place.servers} did not acknowledge {left} messages within "
                f"{self._place.publish_seconds:g} s, on {', '.join(sorted({m.topic for m in messages}))}."
            )

    def _flushed(self, producer: Producer) -> asyncio.Future[int]:
        """How many messages are left once everything was produced is acknowledged, or the time is up."""
        done: asyncio.Future[int] = self._loop.create_future()
        self._jobs.put((producer, done))
        return done

    def _work(self) -> None:
        """The only thread that asks the library for its reports: when a flush ends, each of its reports was made."""
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                self.producer.poll(0)
                continue
            if job is None:
                return
            producer, done = job
            left = producer.flush(self._place.publish_seconds)
            if left:
                # First the new one: nobody may put a message behind what is about to be purged.
                if producer is self.producer:
                    self.producer = self._make()
                producer.purge()
                producer.flush(IDLE_SECONDS)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_resolve, done, left)

    async def close(self) -> None:
        """End the thread once what it has to do is done."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)


def _resolve(done: asyncio.Future[int], left: int) -> None:
    if not done.done():
        done.set_result(left)


def _ignored(error: KafkaError) -> None:
    """The library goes on by itself, and logs it."""
