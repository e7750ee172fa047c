"""Looking on until everything is settled, or nothing happens any more."""

import asyncio
from pathlib import Path

import pytest

from minuet.demo.plan import DemoFailed, url_of
from minuet.demo.settling import opened
from minuet.demo.watch import Glance, Watch
from minuet.examples.order_fulfilment import generate
from minuet.examples.order_fulfilment.app import build
from minuet.examples.order_fulfilment.audit import expect
from minuet.examples.order_fulfilment.feed import feed
from minuet.examples.order_fulfilment.input import invoices
from minuet.examples.order_fulfilment.settings import Settings

SERVICES = ("orders", "payments", "inventory", "shipping", "notifications")


async def looked_on(directory: Path, services: tuple[str, ...]) -> list[Glance]:
    """What is shown while these services of the shop handle ten orders, until all is settled or stalled."""
    file, database = directory / "orders.csv", directory / "orders.db"
    generate.write(file, 10, seed=1)
    url, settings, glances = url_of(database), Settings(), list[Glance]()
    app = build(url, url, settings)
    async with opened(app, url, url) as settling, app.running(services):
        watch = Watch(settling, expect([file], settings), glances.append, stall_seconds=2)
        watch.begun.set()

        async def hand_over() -> None:
            async for fed in feed(invoices([file])):
                watch.fed = fed

        feeding = asyncio.create_task(hand_over())
        await watch.until_settled(feeding)
    return glances


def test_it_ends_when_nothing_is_left_to_do(tmp_path) -> None:
    """With every service at work, the last thing shown is all that is due."""
    last = asyncio.run(looked_on(tmp_path, SERVICES))[-1]
    assert last.done == last.due
    assert (last.fed, last.share) == (last.invoices, 1)


def test_a_stall_says_what_is_awaited(tmp_path) -> None:
    """When a service never starts, the error names its reaction and, once fed, nothing else."""
    with pytest.raises(DemoFailed, match="Nothing has happened for 2 seconds") as stalled:
        asyncio.run(looked_on(tmp_path, SERVICES[:3]))
    awaited = str(stalled.value).partition("Still awaited: ")[2]
    assert "shipping.ship has never started; notifications.tell has never started" in awaited
    assert "payments" not in awaited
