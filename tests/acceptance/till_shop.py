"""A service that writes down what it handles in the order in which it does, with trouble at some keys' first events."""

import asyncio
import os
from collections.abc import Callable

from minuet import App, Context, Event, Service, Transaction, Writes, retry
from minuet.ports.broker import Broker
from minuet.ports.clock import Clock
from minuet.ports.observer import Observer
from minuet.ports.store import Store
from tests.acceptance.forked import Parent
from tests.acceptance.pairs import Pair

TRANSACTIONAL, CONCURRENT = "transactional", "concurrent"
LANES = (TRANSACTIONAL, CONCURRENT)
RETRIES = 5
ENTRIES = "SELECT key, number FROM entries ORDER BY line"


class Bought(Event, key="till"):
    """Somebody bought something at a till. The till orders them."""

    till: str
    number: int


class Jammed(Exception):
    """The drawer is jammed, and no second try opens it."""


def struggles(bought: Bought, attempt: int) -> None:
    """The first event of the hot till fails as often as it may."""
    if bought.till == "hot" and bought.number == 0 and attempt <= RETRIES:
        raise TimeoutError(f"attempt {attempt}")


def tills(lane: str, trouble: Callable[[Bought, int], None] = struggles, on_dead_letter: str = "continue") -> Service:
    """The service, with its reaction in this lane."""
    service = Service("tills", owns=[Bought])
    keywords = {
        "retry": retry(times=RETRIES, first="1ms", most="2ms"), "never": Jammed, "on_dead_letter": on_dead_letter,
    }  # fmt: skip
    insert = "INSERT INTO entries (key, number, process) VALUES (?, ?, ?)"

    @service.setup
    async def entries(tx: Transaction) -> None:
        await tx.execute(
            "CREATE TABLE IF NOT EXISTS entries"
            " (line INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, number INTEGER, process INTEGER)"
        )

    if lane == TRANSACTIONAL:

        @service.reaction(**keywords)
        async def enter(bought: Bought, tx: Transaction, context: Context) -> None:
            await tx.execute(insert, (bought.till, bought.number, os.getpid()))
            trouble(bought, context.attempt)

    else:

        @service.reaction(**keywords)
        async def enter(bought: Bought, writes: Writes, context: Context) -> None:
            writes.execute(insert, (bought.till, bought.number, os.getpid()))
            await asyncio.sleep(0)
            trouble(bought, context.attempt)

    return service


async def serve(parent: Parent, where: Pair, lane: str, clock: Clock | None) -> None:
    """A process of the service, until SIGTERM."""
    app = App([tills(lane)], **where.urls(), clock=clock, observers=())
    await app.serve(started=lambda: parent.say("started"))


def shop(service: Service, broker: Broker, store: Store, *observers: Observer) -> App:
    """The service alone, in the test's own process."""
    return App([service], broker=broker, store=store, observers=observers)
