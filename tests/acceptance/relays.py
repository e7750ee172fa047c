"""Relays at work on pairs whose broker and store lie apart."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from minuet.ports.broker import Message
from minuet.runtime.observing import Observers
from minuet.runtime.outlets import OutboxOutlet
from minuet.runtime.relay import Relay
from minuet.runtime.system import SystemChance, SystemClock
from minuet.testing.signals import Signals
from tests.acceptance.pairs import SEPARATE, Pair, pair
from tests.acceptance.postgres_pairs import POSTGRES_SEPARATE, PostgresPair, postgres_pair
from tests.contract.servers import needs

SHORT_SECONDS = 0.2


@pytest.fixture(params=[SEPARATE, pytest.param(POSTGRES_SEPARATE, marks=needs("postgres"))])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair | PostgresPair]:
    """A broker, and a store elsewhere."""
    made = pair(SEPARATE, tmp_path) if request.param == SEPARATE else postgres_pair(POSTGRES_SEPARATE)
    yield made
    made.dropped()


@asynccontextmanager
async def opened(where: Pair | PostgresPair):
    """Adapters of this process's own."""
    broker, store = where.adapters()
    async with AsyncExitStack() as stack:
        for adapter in (broker, store):
            await adapter.open()
            stack.push_async_callback(adapter.close)
        yield broker, store


def message(topic: str, number: int) -> Message:
    return Message(topic, "key", f"{topic}-{number}", "test", {"number": str(number)}, b"{}")


async def owe(store, *messages: Message) -> None:
    async with store.transaction() as unit:
        await unit.outbox.owe(messages, 0.0)


async def emit(store, relay: Relay, *messages: Message) -> None:
    """Owe these as a reaction does: its own relay holds them if it may."""
    async with store.transaction() as unit:
        await OutboxOutlet(SystemClock(), relay).put(unit, messages)


@asynccontextmanager
async def relaying(store, broker, signals: Signals, **options: float):
    """A relay at work."""
    relay = Relay(store, broker, SystemChance(), Observers([signals]), **options)
    store.listen(relay.wake)
    running = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        relay.stop()
        await running
