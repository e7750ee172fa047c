"""The reference work on FastStream: five subscribers in one process, one broker, PostgreSQL for state. Runs in the
peers' environment.

As its documentation has it: pydantic models, uvloop, no logger; each publication waits for the broker's word.

- `nats_insert`, `kafka_insert`, `kafka_workers_insert`, `rabbitmq_insert`: one committed INSERT a message, and no
  guarantee: who dies between that and the next publication loses an event or doubles a row.
- `nats_outbox`, `kafka_outbox`, `rabbitmq_outbox`: an inbox and an outbox written by hand. Each handler commits its
  inbox row, its state row and what it emits in one transaction; a relay, woken by that, publishes a hundred at a time
  and deletes them.

NATS is a server of its own in the run's directory: JetStream on files, pull consumers of 64. Kafka is the confluent
client: its default acknowledges first and handles one message at a time; `workers` handles 64 at once, which it allows
only without a guarantee. RabbitMQ: quorum queues, persistent messages, confirms, 64 prefetched.
"""

import asyncio
import contextlib
import importlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

import uvloop
from pydantic import BaseModel, Field

from benchmarks.programs import in_postgres, nats
from benchmarks.programs.feeding import WARM, Flight
from benchmarks.programs.measurement import answer, asked, server
from benchmarks.programs.order import SERVICES, TOPICS, Order

AT_ONCE = 64
POOL = 16
RELAYED = 100

INSERT = {name: f"INSERT INTO {name}_state VALUES ($1, $2, $3, $4, $5, $6)" for name in SERVICES}
INTO_INBOX = "INSERT INTO inbox VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1"
INTO_OUTBOX = "INSERT INTO outbox (topic, key, body) VALUES ($1, $2, $3)"
OLDEST = "SELECT id, topic, body FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"
PAID = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"

Name = Annotated[str, Field(min_length=1, max_length=64)]
Amount = Annotated[int, Field(ge=0)]

Publish = Callable[[str, BaseModel], Awaitable[object]]


class Placed(BaseModel):
    """What each of the six events carries."""

    order_id: Name
    customer_id: Name
    sku: Name
    quantity: Annotated[int, Field(ge=1)]
    total_pence: Amount
    address: Annotated[str, Field(min_length=1, max_length=200)]


Handler = Callable[[Placed], Awaitable[None]]


class Wiring:
    """One broker as FastStream knows it: a decorator for each topic's handler, and a way to publish."""

    def __init__(self, broker: Any, subscriber: Callable[[str, str], Any], publish: Publish) -> None:
        self.broker = broker
        self.subscriber = subscriber
        self.publish = publish


def wired_nats(url: str) -> Wiring:
    """NATS with JetStream: a durable pull consumer for each service."""
    package: Any = importlib.import_module("faststream.nats")
    broker = package.NatsBroker(url, logger=None)
    stream = package.JStream(name="chain", subjects=list(TOPICS), storage=package.StorageType.FILE)
    pull = package.PullSub(batch_size=AT_ONCE, timeout=1)

    def subscriber(topic: str, service: str) -> Any:
        return broker.subscriber(topic, stream=stream, durable=service, pull_sub=pull)

    async def publish(topic: str, message: BaseModel) -> None:
        await broker.publish(message, topic, stream="chain")

    return Wiring(broker, subscriber, publish)


def wired_kafka(*, guaranteed: bool, workers: int = 1) -> Wiring:
    """Kafka through confluent's client. What is guaranteed is acknowledged once it is handled."""
    package: Any = importlib.import_module("faststream.confluent")
    policy: Any = importlib.import_module("faststream").AckPolicy
    broker = package.KafkaBroker(urlsplit(server("kafka")).netloc, logger=None, acks="all")
    options: dict[str, Any] = {"auto_offset_reset": "earliest"}
    if guaranteed:
        options["ack_policy"] = policy.ACK
    elif workers > 1:
        options["max_workers"] = workers

    def subscriber(topic: str, service: str) -> Any:
        return broker.subscriber(topic, group_id=service, **options)

    async def publish(topic: str, message: Any) -> None:
        await broker.publish(message, topic)

    return Wiring(broker, subscriber, publish)


def wired_rabbitmq() -> Wiring:
    """RabbitMQ: a topic exchange, a quorum queue for each service."""
    package: Any = importlib.import_module("faststream.rabbit")
    url = server("rabbitmq").replace("rabbitmq://", "amqp://", 1)
    broker = package.RabbitBroker(url, logger=None, default_channel=package.Channel(prefetch_count=AT_ONCE))
    exchange = package.RabbitExchange("chain", type=package.ExchangeType.TOPIC, durable=True)

    def subscriber(topic: str, service: str) -> Any:
        queue = package.RabbitQueue(
            service, queue_type=package.QueueType.QUORUM, durable=True, routing_key=topic,
            arguments={"x-single-active-consumer": True},
        )  # fmt: skip
        return broker.subscriber(queue, exchange)

    async def publish(topic: str, message: Any) -> None:
        await broker.publish(message, exchange=exchange, routing_key=topic, persist=True, mandatory=False)

    return Wiring(broker, subscriber, publish)


def inserting(wiring: Wiring, pool: Any, flight: Flight) -> None:
    """Handlers that insert, then publish."""

    def handler(step: int) -> Handler:
        insert = INSERT[SERVICES[step]]

        async def handle(placed: Placed) -> None:
            await pool.execute(insert, *_row(placed))
            await wiring.publish(TOPICS[step + 1], placed)
            if step == len(SERVICES) - 1:
                flight.landed()

        return handle

    for step, service in enumerate(SERVICES):
        wiring.subscriber(TOPICS[step], service)(handler(step))


def owing(wiring: Wiring, pool: Any, flight: Flight, owed: asyncio.Event) -> None:
    """Handlers that write inbox, state and outbox in one transaction."""

    def handler(step: int) -> Handler:
        service = SERVICES[step]

        async def handle(placed: Placed) -> None:
            async with pool.acquire() as connection, connection.transaction():
                if await connection.fetchval(INTO_INBOX, service, placed.order_id) is None:
                    return
                await connection.execute(INSERT[service], *_row(placed))
                await connection.execute(INTO_OUTBOX, TOPICS[step + 1], placed.order_id, placed.model_dump_json())
            owed.set()
            if step == len(SERVICES) - 1:
                flight.landed()

        return handle

    for step, service in enumerate(SERVICES):
        wiring.subscriber(TOPICS[step], service)(handler(step))


def _row(placed: Placed) -> tuple[str | int, ...]:
    return (
        placed.order_id,
        placed.customer_id,
        placed.sku,
        placed.quantity,
        placed.total_pence,
        placed.address,
    )


async def relay(wiring: Wiring, pool: Any, owed: asyncio.Event) -> None:
    """Publish what is owed, for ever."""
    while True:
        await owed.wait()
        owed.clear()
        while await relayed(wiring, pool) == RELAYED:
            pass


async def relayed(wiring: Wiring, pool: Any) -> int:
    """Publish the oldest that are owed, and how many those were."""
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(OLDEST, RELAYED)
        messages = [(topic, Placed.model_validate_json(body)) for _, topic, body in rows]
        await asyncio.gather(*(wiring.publish(topic, message) for topic, message in messages))
        await connection.execute(PAID, [number for number, _, _ in rows])
        return len(rows)


@contextlib.asynccontextmanager
async def wired(way: str, directory: Any) -> AsyncGenerator[Wiring]:
    """The broker that a way asks for; NATS is started for the while."""
    outbox = way.endswith("_outbox")
    if way.startswith("nats"):
        async with nats.running(directory) as url:
            yield wired_nats(url)
    elif way.startswith("kafka"):
        yield wired_kafka(guaranteed=outbox, workers=AT_ONCE if "workers" in way else 1)
    else:
        yield wired_rabbitmq()


async def workflows_per_s(way: str, workflows: int, directory: Any) -> float:
    """Start everything, feed it and time it."""
    asyncpg: Any = importlib.import_module("asyncpg")
    flight, owed = Flight(), asyncio.Event()
    async with (
        asyncpg.create_pool(in_postgres.url(), min_size=POOL, max_size=POOL) as pool,
        wired(way, directory) as wiring,
        asyncio.TaskGroup() as group,
    ):
        outbox = way.endswith("_outbox")
        if outbox:
            owing(wiring, pool, flight, owed)
        else:
            inserting(wiring, pool, flight)
        await wiring.broker.start()
        relaying = group.create_task(relay(wiring, pool, owed)) if outbox else None

        async def send(order: Order) -> None:
            await wiring.publish(TOPICS[0], Placed(**order._asdict()))

        await flight.feed(send, WARM, first=workflows)
        started = time.perf_counter()
        await flight.feed(send, workflows)
        lasted = time.perf_counter() - started
        if relaying is not None:
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
            while await relayed(wiring, pool):
                pass
        await wiring.broker.stop()
    return workflows / lasted


def main() -> None:
    """Measure once in a fresh database, and count its rows afterwards."""
    ways = {
        "nats_insert": "faststream",
        "nats_outbox": "faststream_outbox",
        "kafka_insert": "faststream_default",
        "kafka_workers_insert": "faststream_workers",
        "kafka_outbox": "faststream_outbox",
        "rabbitmq_insert": "faststream",
        "rabbitmq_outbox": "faststream_outbox",
    }
    task = asked(list(ways))
    outbox = task.way.endswith("_outbox")
    in_postgres.create("state", *(["boxes_postgres"] if outbox else []))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        speed = runner.run(workflows_per_s(task.way, task.workflows, task.directory))
    in_postgres.check_state(WARM + task.workflows)
    if outbox:
        in_postgres.check_nothing_owed()
    answer({ways[task.way]: speed})


if __name__ == "__main__":
    main()
