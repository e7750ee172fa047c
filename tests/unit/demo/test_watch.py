"""Looking on until everything is settled, or nothing happens any more."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from minuet.app import App
from minuet.demo.plan import DemoFailed, url_of
from minuet.demo.settling import Settling, opened
from minuet.demo.verdict import Verdict, judge
from minuet.demo.watch import Glance, Watch
from minuet.examples.order_fulfilment import generate
from minuet.examples.order_fulfilment.app import build
from minuet.examples.order_fulfilment.audit import Audit, expect
from minuet.examples.order_fulfilment.feed import feed
from minuet.examples.order_fulfilment.input import invoices
from minuet.examples.order_fulfilment.settings import Settings
from minuet.ports.store import Store

SERVICES = ("orders", "payments", "inventory", "shipping", "notifications")


async def looked_on(directory: Path, services: tuple[str, ...], *, blind: bool = False) -> tuple[list[Glance], Audit]:
    """What is shown while these services of the shop handle ten orders, until all is settled or stalled, and the audit.

    `blind` is who cannot see what the broker still has.
    """
    file, database = directory / "orders.csv", directory / "orders.db"
    generate.write(file, 10, seed=1)
    url, settings, glances = url_of(database), Settings(), list[Glance]()
    app = build(url, url, settings)
    expectation = expect([file], settings)
    async with opened(app, url, url) as seeing, app.running(services):
        settling = Settling(app, None, seeing.store) if blind else seeing
        for missing in set(SERVICES) - set(services):
            await set_up(app, missing, seeing.store)
        watch = Watch(settling, expectation, glances.append, stall_seconds=2)
        watch.begun.set()

        async def hand_over() -> None:
            async for fed in feed(invoices([file])):
                watch.fed = fed

        feeding = asyncio.create_task(hand_over())
        await watch.until_settled(feeding)
        verdict = await judge(settling, expectation, 0, 0.0)
    return glances, verdict.audit


async def set_up(app: App, name: str, store: Store) -> None:
    """Make the tables of a service that does not run."""
    [service] = [service for service in app.services if service.name == name]
    async with store.transaction() as unit:
        for setup in service.setups:
            await setup.function(unit.transaction)


def test_it_ends_when_nothing_is_left_to_do(tmp_path) -> None:
    """With every service at work, the last thing shown is all that is due."""
    glances, audit = asyncio.run(looked_on(tmp_path, SERVICES))
    last = glances[-1]
    assert last.done == last.due
    assert (last.fed, last.share) == (last.invoices, 1)
    assert audit.balanced


def test_it_ends_with_a_broker_that_does_not_show_what_it_has(tmp_path) -> None:
    """When every effect is there, it is over."""
    glances, audit = asyncio.run(looked_on(tmp_path, SERVICES, blind=True))
    assert glances[-1].done == glances[-1].due
    assert audit.balanced


def test_what_never_comes_from_such_a_broker_is_lost(tmp_path) -> None:
    """Nothing happens, nobody has anything to do, and effects are missing: they count as lost."""
    glances, audit = asyncio.run(looked_on(tmp_path, SERVICES[:4], blind=True))
    last = glances[-1]
    assert audit.lost == last.due["notifications"] - last.done["notifications"] > 0
    assert audit.doubled == 0


def test_a_stall_says_what_is_awaited(tmp_path) -> None:
    """When a service never starts, the error names its reaction and, once fed, nothing else."""
    with pytest.raises(DemoFailed, match="Nothing has happened for 2 seconds") as stalled:
        asyncio.run(looked_on(tmp_path, SERVICES[:3]))
    awaited = str(stalled.value).partition("Still awaited: ")[2]
    assert "shipping.ship has never started; notifications.tell has never started" in awaited
    assert "payments" not in awaited


@pytest.mark.parametrize("comes", [True, False])
def test_the_books_are_asked_for_again_while_they_cannot_be_read(comes, tmp_path) -> None:
    """A server that was killed last may be away when all is done. One that never comes back is told as it is."""
    file, url, settings = tmp_path / "orders.csv", url_of(tmp_path / "orders.db"), Settings()
    generate.write(file, 10, seed=1)
    expectation = expect([file], settings)

    async def asked() -> None:
        app = build(url, url, settings)
        async with opened(app, url, url) as settling:
            watch = Watch(settling, expectation, lambda _: None, stall_seconds=60 if comes else 0)
            attempts = 0

            async def ask() -> Verdict:
                nonlocal attempts
                attempts += 1
                if comes and attempts == 3:
                    for name in SERVICES:
                        await set_up(app, name, settling.store)
                return await judge(settling, expectation, 0, 0.0)

            verdict = await watch.asked(ask)
            assert (attempts, verdict.audit.balanced) == (3, False)

    if comes:
        asyncio.run(asked())
    else:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            asyncio.run(asked())
