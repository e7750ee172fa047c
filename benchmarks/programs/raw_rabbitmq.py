"""The reference work on aio-pika, by hand: five consumers on one event loop. Runs in the peers' environment.

Each service has a channel to consume (256 prefetched) and one to publish with confirms, and a durable quorum queue with
a single active consumer, as minuet's are, bound to a topic exchange. It takes what has come, decodes and validates it,
commits inbox, state and outbox in one transaction (see `boxes`), publishes what it emits persistently, all at once,
awaits every confirm, and acknowledges the batch with one frame. Of the ways to use aio-pika this is the fastest.

- `rabbitmq_raw`: that.
- `rabbitmq_raw_alone`: the same without a database, so without a guarantee.

256 publishers feed it, as they feed minuet.
"""

import asyncio
import importlib
import time
from typing import Any

import uvloop

from benchmarks.programs import in_postgres
from benchmarks.programs.boxes import Boxes, body_of
from benchmarks.programs.feeding import WARM, Flight
from benchmarks.programs.measurement import answer, asked, server
from benchmarks.programs.order import SERVICES, TOPICS, Order

PREFETCH = 256
QUORUM = {"x-queue-type": "quorum", "x-single-active-consumer": True}

# The package is in the peers' environment alone, so type checkers here cannot see it.
aio_pika: Any = importlib.import_module("aio_pika")


class Sender:
    """A channel with confirms and the exchange on it."""

    def __init__(self, exchange: Any) -> None:
        self._exchange = exchange

    @classmethod
    async def on(cls, connection: Any) -> "Sender":
        """Open one."""
        channel = await connection.channel(publisher_confirms=True)
        return cls(await channel.declare_exchange("chain", "topic", durable=True))

    async def send(self, topic: str, body: bytes) -> None:
        """Publish, and return once the server has it for good."""
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self._exchange.publish(message, topic, mandatory=False)


async def serve(connection: Any, step: int, flight: Flight, ready: asyncio.Event, *, database: bool) -> None:
    """Be one service, until cancelled."""
    boxes = Boxes(step, database=database)
    await boxes.open()
    sender = await Sender.on(connection)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.declare_queue(boxes.service, durable=True, arguments=QUORUM)
    await queue.bind("chain", TOPICS[step])
    came = asyncio.Queue[Any]()
    await queue.consume(came.put)
    ready.set()
    try:
        while True:
            messages = [await came.get()]
            while not came.empty():
                messages.append(came.get_nowait())
            emitted = await boxes.handle([message.body for message in messages])
            await asyncio.gather(*(sender.send(boxes.emits, body) for _, body in emitted))
            await messages[-1].ack(multiple=True)
            if step == len(SERVICES) - 1:
                for _ in messages:
                    flight.landed()
    finally:
        await boxes.close()


async def workflows_per_s(workflows: int, *, database: bool) -> float:
    """Start five services, warm them, feed them and time it."""
    connection = await aio_pika.connect(server("rabbitmq").replace("rabbitmq://", "amqp://", 1))
    flight = Flight()
    sender = await Sender.on(connection)

    async def send(placed: Order) -> None:
        await sender.send(TOPICS[0], body_of(placed))

    async with connection, asyncio.TaskGroup() as group:
        services: list[asyncio.Task[None]] = []
        for step in range(len(SERVICES)):
            ready = asyncio.Event()
            services.append(group.create_task(serve(connection, step, flight, ready, database=database)))
            await ready.wait()
        await flight.feed(send, WARM, first=workflows)
        started = time.perf_counter()
        await flight.feed(send, workflows)
        lasted = time.perf_counter() - started
        for service in services:
            service.cancel()
    return workflows / lasted


def main() -> None:
    """Measure once in a fresh virtual host and a fresh database, and count its rows afterwards."""
    task = asked(["rabbitmq_raw", "rabbitmq_raw_alone"])
    database = task.way == "rabbitmq_raw"
    if database:
        in_postgres.create("state", "boxes_postgres")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        speed = runner.run(workflows_per_s(task.workflows, database=database))
    if database:
        in_postgres.check_state(WARM + task.workflows)
        in_postgres.check_nothing_owed()
    answer({task.way.removeprefix("rabbitmq_"): speed})


if __name__ == "__main__":
    main()
