"""PostgreSQL: events of one key are read in the order in which they were published, whenever transactions began."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from minuet import App, Event, Service, Transaction
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.postgres_pairs import POSTGRES, PostgresPair, postgres_pair
from tests.contract.servers import needs

pytestmark = [*needs("postgres"), pytest.mark.slow]


class Placed(Event, key="order", topic="orders"):
    """An order was placed."""

    order: str


class Cancelled(Event, key="order", topic="orders"):
    """It was cancelled."""

    order: str


class Swept(Event, key="sweep"):
    """Somebody wants to be rid of all orders."""

    sweep: str


@pytest.fixture
def where() -> Iterator[PostgresPair]:
    """A database of the test's own."""
    made = postgres_pair(POSTGRES)
    yield made
    made.dropped()


def shop() -> tuple[Service, Service]:
    """Orders, and an audit that writes down what it hears of them."""
    orders, audit = Service("orders", owns=[Placed, Cancelled]), Service("audit", owns=[Swept])

    @audit.setup
    async def tables(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS heard (number SERIAL, event TEXT, order_id TEXT)")
        await tx.execute("CREATE TABLE IF NOT EXISTS placed (order_id TEXT PRIMARY KEY, state TEXT)")

    @audit.reaction
    async def hear(event: Placed | Cancelled, tx: Transaction) -> None:
        await tx.execute("INSERT INTO heard (event, order_id) VALUES (?, ?)", (type(event).__name__, event.order))

    return orders, audit


def heard(where: PostgresPair) -> list[tuple[object, ...]]:
    """What the audit heard, in its order."""
    return where.look("SELECT event FROM heard ORDER BY number")


@pytest.mark.parametrize("others", [0, 1])
async def test_what_a_transaction_publishes_that_began_earlier_comes_later(where: PostgresPair, others: int) -> None:
    """A request writes something, then waits for an order that another places, and cancels it; also while a third
    transaction, younger than the first, is open.
    """
    orders, audit = shop()
    async with App([orders, audit], **where.urls()).running() as app:
        async with (
            await psycopg.AsyncConnection.connect(where.store) as first,
            await psycopg.AsyncConnection.connect(where.store) as second,
            await psycopg.AsyncConnection.connect(where.store) as third,
        ):
            await first.execute("CREATE TABLE requests (what TEXT)")
            if others:
                await third.execute("CREATE TABLE elsewhere (what TEXT)")
            await second.execute("INSERT INTO placed VALUES ('1', 'placed')")
            await orders.emit(Placed(order="1"), tx=second)
            await second.commit()
            locked = await first.execute("SELECT state FROM placed WHERE order_id = '1' FOR UPDATE")
            assert await locked.fetchone() == ("placed",)
            await orders.emit(Cancelled(order="1"), tx=first)
            await first.commit()
            await third.commit()
        async with asyncio.timeout(30):
            await app.settled()
    assert heard(where) == [("Placed",), ("Cancelled",)]


async def test_what_a_reaction_publishes_that_began_earlier_comes_later(where: PostgresPair) -> None:
    """A reaction reads what another has committed since it began, and emits about it."""
    orders, audit = shop()
    began, go_on = asyncio.Event(), asyncio.Event()

    @orders.reaction
    async def sweep(swept: Swept, tx: Transaction) -> list[Cancelled]:
        await tx.execute("INSERT INTO placed VALUES (?, 'sweep')", (swept.sweep,))
        began.set()
        await go_on.wait()
        return [Cancelled(order=order) for order in await tx.fetch(str, "SELECT order_id FROM placed WHERE state = ''")]

    async with App([orders, audit], **where.urls()).running() as app:
        await audit.emit(Swept(sweep="one"))
        await began.wait()
        async with await psycopg.AsyncConnection.connect(where.store) as request:
            await request.execute("INSERT INTO placed VALUES ('1', '')")
            await orders.emit(Placed(order="1"), tx=request)
            await request.commit()
        go_on.set()
        async with asyncio.timeout(30):
            await app.settled()
    assert heard(where) == [("Placed",), ("Cancelled",)]


async def test_nothing_waits_for_a_transaction_that_never_comes(where: PostgresPair) -> None:
    """An event that an old transaction publishes after younger ones are over is read as soon as it is committed."""
    orders, audit = shop()
    signals = Signals({Point.COMMITTED})
    async with App([orders, audit], **where.urls(), observers=[signals]).running():
        async with (
            await psycopg.AsyncConnection.connect(where.store) as old,
            await psycopg.AsyncConnection.connect(where.store) as young,
        ):
            await old.execute("CREATE TABLE requests (what TEXT)")
            await young.execute("CREATE TABLE younger (what TEXT)")
            await young.commit()
            await orders.emit(Placed(order="1"), tx=old)
            await old.commit()
        await signals.reached(Point.COMMITTED, within="30s")
    assert heard(where) == [("Placed",)]
