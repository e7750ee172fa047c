"""The trace that a dead letter keeps."""

import asyncio
from pathlib import Path

import pytest

from minuet import NEVER, App, Event, Service, Transaction
from minuet.ports.deliveries import DeadLetterFilter
from minuet.stores.sqlite import SqliteStore
from minuet.testing import Outcome, Point, Signals


class Placed(Event):
    """An order came."""

    order_id: str


def fail() -> None:
    """Fail."""
    raise ValueError("no")


def transactional(orders: Service) -> None:
    """Runs in a transaction."""

    @orders.reaction(retry=NEVER)
    async def react(order: Placed, tx: Transaction) -> None:
        fail()


def concurrent(orders: Service) -> None:
    """Runs outside of one."""

    @orders.reaction(retry=NEVER)
    async def react(order: Placed) -> None:
        fail()


def in_a_thread(orders: Service) -> None:
    """Runs in a worker thread."""

    @orders.reaction(retry=NEVER)
    def react(order: Placed) -> None:
        fail()


@pytest.mark.parametrize("declare", [transactional, concurrent, in_a_thread])
def test_a_trace_begins_with_the_reaction(declare, tmp_path: Path) -> None:
    """What called the reaction is no news to whoever wrote it."""
    orders, signals = Service("orders", owns=[Placed]), Signals()
    declare(orders)
    url = f"sqlite:///{tmp_path / 'shop.db'}"

    async def body() -> str:
        async with App([orders], broker=url, observers=[signals]).running():
            await orders.emit(Placed(order_id="1"))
            await signals.reached(Point.COMMITTED, outcome=Outcome.DEAD)
        store = SqliteStore.from_url(url)
        await store.open()
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        await store.close()
        return letter.trace

    trace = asyncio.run(body())
    frames = [line.rpartition(" in ")[2] for line in trace.splitlines() if line.startswith("  File")]
    assert frames == ["react", "fail"]
    assert trace.endswith("ValueError: no\n")
