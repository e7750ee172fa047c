"""The PostgreSQL server is killed in the middle: the app goes on by itself, and nothing is lost or doubled."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from minuet import App
from minuet.errors import BrokerUnavailable, StoreUnavailable
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.crash_shop import CONCURRENT, CONSUMER, FATES, TRANSACTIONAL, Ordered, services
from tests.acceptance.own_servers import own_server
from tests.acceptance.postgres_pairs import POSTGRES, POSTGRES_SEPARATE, PostgresPair, postgres_pair
from tests.contract.servers import needs
from tools.services.fleet import Services

pytestmark = [*needs("postgres"), pytest.mark.slow]

ORDERS = [(f"{number}", FATES[number % len(FATES)]) for number in range(200)]


@pytest.fixture(scope="module")
def server() -> Iterator[Services]:
    with own_server() as services:
        yield services


async def emitted(payments, there: asyncio.Event, number: int, key: str, fate: str) -> None:
    """Emit, again under the same id as long as the server is away or cannot say whether it did."""
    while True:
        try:
            await payments.emit(Ordered(order=key, fate=fate), id=f"order-{number}")
        except (StoreUnavailable, BrokerUnavailable, psycopg.Error):
            await there.wait()
        else:
            return


async def disturbed(where: PostgresPair, lane: str, server: Services) -> Signals:
    """Emit and react; kill the server twice meanwhile, and return once everything is settled."""
    payments, receipts = services(lane, 10)
    signals = Signals({Point.COMMITTED})
    app = App([payments, receipts], **where.urls(), observers=[signals])
    async with app.running():
        there = asyncio.Event()
        emitting = [asyncio.create_task(emitted(payments, there, n, *order)) for n, order in enumerate(ORDERS)]
        for count in (30, 90):
            await signals.reached(Point.COMMITTED, reaction=CONSUMER, count=count)
            there.clear()
            await asyncio.to_thread(server.kill, "postgres")
            there.set()
        await asyncio.gather(*emitting)
        await where.worked_off(app)
    return signals


@pytest.mark.parametrize("lane", [TRANSACTIONAL, CONCURRENT])
@pytest.mark.parametrize("kind", [POSTGRES, POSTGRES_SEPARATE])
def test_a_killed_server_loses_and_doubles_nothing(kind: str, lane: str, server: Services) -> None:
    """After two kills of the server, each order has had its one effect, and what cannot be is one dead letter."""
    where = postgres_pair(kind, server.urls()["postgres"])
    signals = asyncio.run(disturbed(where, lane, server))
    assert where.unfinished() == {}
    charges = where.look("SELECT order_id, fate FROM charges")
    assert Counter(charges) == Counter((key, fate) for key, fate in ORDERS if fate not in ("skipped", "dead"))
    receipts = where.look("SELECT order_id FROM receipts")
    assert Counter(receipts) == Counter((key,) for key, fate in ORDERS if fate == "emitted")
    letters = where.look("SELECT event_id, reason FROM minuet_dead_letters")
    dead = [f"order-{number}" for number, (_, fate) in enumerate(ORDERS) if fate == "dead"]
    assert Counter(letters) == Counter((event_id, "permanent_error") for event_id in dead)
    assert signals.troubles, "nobody noticed that the server was killed"
