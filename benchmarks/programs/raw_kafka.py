"""The reference work on confluent-kafka, by hand: five consumers in one process, a thread each. Runs in the peers'
environment.

Each takes what has come, up to 500 messages, decodes and validates them, commits inbox, state and outbox in one
transaction (see `boxes`), produces what it emits, waits until every copy has it (acks=all, idempotent), and commits its
offsets. That is what minuet promises, for a batch as long as nothing fails: nobody retries, parks or traces here.

- `kafka_raw`: that.
- `kafka_raw_in_flight`: the same, with at most 4,000 workflows between request and end, as minuet is fed.
- `kafka_raw_alone`: the same without a database, so without a guarantee.

Start events are otherwise produced as fast as they are taken, 500 at a time: the longer the queue, the larger the
batches.
"""

import asyncio
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import uvloop
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.programs import in_postgres
from benchmarks.programs.boxes import Boxes, body_of
from benchmarks.programs.feeding import IN_FLIGHT_ON_SERVERS, WARM
from benchmarks.programs.measurement import answer, asked, server
from benchmarks.programs.order import SERVICES, TOPICS, order

BATCH = 500
POLL_S = 0.05
LIMIT_S = 300.0


class Counter:
    """How many orders have ended; whoever waits for a number is told."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def add(self, count: int) -> None:
        """So many more have ended."""
        with self._changed:
            self._count += count
            self._changed.notify_all()

    def reach(self, count: int) -> int:
        """Wait until so many have ended in all, and how many those are by then."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, LIMIT_S):
                raise SystemExit(f"{self._count} of {count} workflows had ended after {LIMIT_S:g} s.")
            return self._count


class Worker:
    """One service: a thread with a consumer, a producer and a connection of its own."""

    def __init__(self, servers: str, step: int, ended: Counter, *, database: bool) -> None:
        self._servers = servers
        self._step = step
        self._ended = ended
        self._database = database
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=SERVICES[step])
        self._thread.start()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001, told by `stop`
            self._failure = error

    async def _serve(self) -> None:
        """Nothing else runs on this thread's loop, so it may block."""
        boxes = Boxes(self._step, database=self._database)
        await boxes.open()
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": boxes.service,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        producer = producer_of(self._servers)
        consumer.subscribe([TOPICS[self._step]])
        while not self._stopping.is_set():
            first = consumer.poll(POLL_S)
            if first is None:
                continue
            messages = [first, *consumer.consume(BATCH - 1, 0)]
            emitted = await boxes.handle([value_of(message) for message in messages])
            for key, body in emitted:
                producer.produce(boxes.emits, body, key)
            flushed(producer)
            consumer.commit(asynchronous=False)
            if self._step == len(SERVICES) - 1:
                self._ended.add(len(messages))
        consumer.close()
        await boxes.close()

    def stop(self) -> None:
        """End the thread. Raises what it failed with."""
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure


def producer_of(servers: str) -> Producer:
    """A producer that loses nothing."""
    return Producer({"bootstrap.servers": servers, "acks": "all", "enable.idempotence": True, "linger.ms": 5})


def flushed(producer: Producer) -> None:
    """Wait until everything produced is where it must be."""
    if left := producer.flush(30):
        raise SystemExit(f"Kafka did not acknowledge {left} messages.")


def value_of(message: Any) -> bytes:
    """What a message carries. An error in its place ends the measurement."""
    if message.error() is not None:
        raise SystemExit(f"Kafka said {message.error()}.")
    value: bytes = message.value()
    return value


def feed(producer: Producer, first: int, orders: int) -> None:
    """Produce so many start events."""
    for at in range(first, first + orders, BATCH):
        produce(producer, range(at, min(at + BATCH, first + orders)))


def feed_slowly(producer: Producer, orders: int, ended: Counter) -> None:
    """Produce so many start events, as many at a time as leave no more than `IN_FLIGHT_ON_SERVERS` under way."""
    fed = 0
    while fed < orders:
        done = ended.reach(WARM + fed - IN_FLIGHT_ON_SERVERS + 1) - WARM
        upto = min(orders, done + IN_FLIGHT_ON_SERVERS)
        produce(producer, range(fed, upto))
        fed = upto


def produce(producer: Producer, numbers: range) -> None:
    """Produce these orders' start events, and wait until they are where they must be."""
    for number in numbers:
        placed = order(number)
        producer.produce(TOPICS[0], body_of(placed), placed.order_id)
    flushed(producer)


def workflows_per_s(workflows: int, *, database: bool, capped: bool) -> float:
    """Make the topics, start five services, warm them, feed them and time it."""
    servers = urlsplit(server("kafka")).netloc
    admin: Any = AdminClient({"bootstrap.servers": servers})
    made = admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1) for topic in TOPICS])
    for creation in made.values():
        try:
            creation.result()
        except KafkaException as error:
            # The library asks again when a server that has just started is slow to answer. Had the topic been there
            # with anything in it, the rows would not add up.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    ended = Counter()
    workers = [Worker(servers, step, ended, database=database) for step in range(len(SERVICES))]
    producer = producer_of(servers)
    try:
        feed(producer, workflows, WARM)
        ended.reach(WARM)
        started = time.perf_counter()
        if capped:
            feed_slowly(producer, workflows, ended)
        else:
            feed(producer, 0, workflows)
        ended.reach(WARM + workflows)
        return workflows / (time.perf_counter() - started)
    finally:
        for worker in workers:
            worker.stop()


def main() -> None:
    """Measure once on fresh topics and in a fresh database, and count its rows afterwards."""
    task = asked(["kafka_raw", "kafka_raw_in_flight", "kafka_raw_alone"])
    database = task.way != "kafka_raw_alone"
    if database:
        in_postgres.create("state", "boxes_postgres")
    speed = workflows_per_s(task.workflows, database=database, capped=task.way == "kafka_raw_in_flight")
    if database:
        in_postgres.check_state(WARM + task.workflows)
        in_postgres.check_nothing_owed()
    answer({task.way.removeprefix("kafka_"): speed})


if __name__ == "__main__":
    main()
