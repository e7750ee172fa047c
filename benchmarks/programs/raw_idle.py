"""What a hop costs by hand when nothing else goes on: a message's way through a broker, and a commit in PostgreSQL, in
microseconds. Runs in the peers' environment.

Five in a row, as a workflow has five, then everything rests. A way is from the call that publishes until a consumer has
the message; a commit is a transaction of one state row.

- `raw_idle_postgres`: a log row and a notification are committed; a connection that listens is notified and reads the
  row.
- `raw_idle_kafka`: produced without lingering to a topic of one partition, acks=all; polled.
- `raw_idle_rabbitmq`: published persistently with confirms to a quorum queue through a topic exchange; consumed.
"""

import asyncio
import contextlib
import importlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import uvloop
from confluent_kafka import Consumer, Producer

from benchmarks.programs import in_postgres
from benchmarks.programs.boxes import body_of
from benchmarks.programs.idling import REST_S, WARM
from benchmarks.programs.measurement import answer, asked, percentile, server
from benchmarks.programs.order import SERVICES, TOPICS, Order, log_rows, order

INSERT = {name: f"INSERT INTO {name}_state VALUES ($1, $2, $3, $4, $5, $6)" for name in SERVICES}
INTO_LOG = "INSERT INTO minuet_log (topic, key, id, source, body) VALUES ($1, $2, $3, $4, $5) RETURNING seq"
READ = "SELECT topic, key, id, source, body FROM minuet_log WHERE topic = $1 AND seq > $2 ORDER BY xid, seq"
PATIENCE_S = 30.0

Trip = Callable[[Order, int, int], Awaitable[None]]
"""Sends an order's event of a step, at this number of trips, and returns once a consumer has it."""


@contextlib.asynccontextmanager
async def through_postgres(asyncpg: Any) -> AsyncGenerator[Trip]:
    """A log row and a notification, on two connections."""
    sender, receiver = await asyncpg.connect(in_postgres.url()), await asyncpg.connect(in_postgres.url())
    told = asyncio.Event()

    def heard(*_: object) -> None:
        told.set()

    await receiver.add_listener("log", heard)
    read = 0

    async def trip(placed: Order, step: int, number: int) -> None:
        nonlocal read
        logged = log_rows(number)[step]
        told.clear()
        async with sender.transaction():
            read_from, read = read, await sender.fetchval(INTO_LOG, placed.order_id, *logged[1:4], logged.body)
            await sender.execute("NOTIFY log")
        await told.wait()
        rows = await receiver.fetch(READ, placed.order_id, read_from)
        if len(rows) != 1:
            raise SystemExit(f"{len(rows)} rows came where one was sent.")

    yield trip
    await sender.close()
    await receiver.close()


@contextlib.asynccontextmanager
async def through_kafka() -> AsyncGenerator[Trip]:
    """One producer and one consumer. Both block: nothing else runs."""
    servers = urlsplit(server("kafka")).netloc
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "enable.idempotence": True, "linger.ms": 0})
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "trip",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer.produce("trip", b"first", "first")
    producer.flush(PATIENCE_S)
    consumer.subscribe(["trip"])
    while consumer.poll(PATIENCE_S) is None:
        pass

    async def trip(placed: Order, step: int, number: int) -> None:
        body = body_of(placed)
        producer.produce("trip", body, placed.order_id)
        came = consumer.poll(PATIENCE_S)
        if came is None or came.value() != body:
            raise SystemExit(f"Order {number} did not come through Kafka at step {step}.")
        producer.poll(0)

    yield trip
    consumer.close()
    producer.flush(PATIENCE_S)


@contextlib.asynccontextmanager
async def through_rabbitmq() -> AsyncGenerator[Trip]:
    """One channel to publish with confirms, one to consume."""
    aio_pika: Any = importlib.import_module("aio_pika")
    connection = await aio_pika.connect(server("rabbitmq").replace("rabbitmq://", "amqp://", 1))
    channel = await connection.channel(publisher_confirms=True)
    exchange = await channel.declare_exchange("trip", "topic", durable=True)
    receiving = await connection.channel()
    await receiving.set_qos(prefetch_count=1)
    arguments = {"x-queue-type": "quorum", "x-single-active-consumer": True}
    queue = await receiving.declare_queue("trip", durable=True, arguments=arguments)
    await queue.bind("trip", "#")
    came = asyncio.Queue[Any]()
    await queue.consume(came.put)

    async def trip(placed: Order, step: int, number: int) -> None:
        message = aio_pika.Message(body_of(placed), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        confirmed = asyncio.ensure_future(exchange.publish(message, TOPICS[step]))
        received = await came.get()
        if received.body != message.body:
            raise SystemExit(f"Order {number} did not come through RabbitMQ at step {step}.")
        await received.ack()
        await confirmed

    yield trip
    await connection.close()


async def by_turns(way: str, bursts: int) -> dict[str, list[float]]:
    """Each trip, each commit and each pair of them, in microseconds."""
    asyncpg: Any = importlib.import_module("asyncpg")
    store = await asyncpg.connect(in_postgres.url())
    ways = {
        "raw_idle_postgres": lambda: through_postgres(asyncpg),
        "raw_idle_kafka": through_kafka,
        "raw_idle_rabbitmq": through_rabbitmq,
    }
    lasted: dict[str, list[float]] = {"trip": [], "commit": [], "raw": []}
    async with ways[way]() as trip:
        for number in range(WARM + bursts):
            placed = order(number)
            burst: list[tuple[float, float]] = []
            for step, service in enumerate(SERVICES):
                started = time.perf_counter()
                await trip(placed, step, number)
                arrived = time.perf_counter()
                async with store.transaction():
                    await store.execute(INSERT[service], *placed)
                burst.append(((arrived - started) * 1e6, (time.perf_counter() - arrived) * 1e6))
            await asyncio.sleep(REST_S)
            if number >= WARM:
                lasted["trip"] += [way_us for way_us, _ in burst]
                lasted["commit"] += [commit_us for _, commit_us in burst]
                # As a hop is measured: a fifth of five in a row.
                lasted["raw"].append(sum(map(sum, burst)) / len(SERVICES))
    await store.close()
    return lasted


def main() -> None:
    """Measure and answer percentiles."""
    task = asked(["raw_idle_postgres", "raw_idle_kafka", "raw_idle_rabbitmq"])
    in_postgres.create("state", "log_postgres")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lasted = runner.run(by_turns(task.way, task.workflows))
    in_postgres.check_state(WARM + task.workflows)
    answer(
        {
            "raw_p50": percentile(lasted["raw"], 0.5),
            "raw_p99": percentile(lasted["raw"], 0.99),
            "trip_p50": percentile(lasted["trip"], 0.5),
            "commit_p50": percentile(lasted["commit"], 0.5),
        }
    )


if __name__ == "__main__":
    main()
