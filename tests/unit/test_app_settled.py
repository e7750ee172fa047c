"""An app tells when nothing is left to do."""

import asyncio
from pathlib import Path

import pytest

from minuet import NEVER, App, Event, Service, StartupError, Transaction, retry
from minuet.testing import Outcome, Point, Signals


class Placed(Event, key="order_id"):
    """An order came."""

    order_id: str


class Paid(Event, key="order_id"):
    """It is paid."""

    order_id: str


class Shipped(Event, key="order_id"):
    """It is gone."""

    order_id: str


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An inbox and an outbox, and a joined pair."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'shop.db'}"


class NoJitter:
    """Retries come at once."""

    def random(self) -> float:
        """The least."""
        return 0.0


class Shop:
    """Three services in a chain, one of which has no transaction; payments fails as often as it is told."""

    def __init__(self, url: str, *, failures: int = 0, times: int = 5) -> None:
        self.shipped: list[str] = []
        self.signals = Signals()
        self.orders = Service("orders", owns=[Placed])
        payments, shipping = Service("payments", owns=[Paid]), Service("shipping", owns=[Shipped])
        failing = iter(range(failures))

        @payments.reaction(retry=retry(times=times))
        async def pay(order: Placed) -> Paid:
            await asyncio.sleep(0)
            if next(failing, None) is not None:
                raise ConnectionError
            return Paid(order_id=order.order_id)

        @shipping.reaction
        async def ship(paid: Paid, tx: Transaction) -> Shipped:
            self.shipped.append(paid.order_id)
            return Shipped(order_id=paid.order_id)

        self.app = App([self.orders, payments, shipping], broker=url, observers=[self.signals], chance=NoJitter())

    async def place(self, number: int) -> None:
        for order_id in range(number):
            await self.orders.emit(Placed(order_id=str(order_id)))


def test_a_chain_of_reactions_has_run_when_all_is_settled(url: str) -> None:
    """It waits through services with a transaction and without, and through retries."""
    shop = Shop(url, failures=3)

    async def body() -> None:
        async with shop.app.running():
            await shop.place(20)
            await shop.app.settled()
            assert sorted(shop.shipped, key=int) == [str(number) for number in range(20)]

    asyncio.run(body())


def test_a_dead_letter_is_nothing_to_wait_for(url: str) -> None:
    """What is given up is settled."""
    shop = Shop(url, failures=1, times=0)

    async def body() -> None:
        async with shop.app.running():
            await shop.place(2)
            await shop.app.settled()
            assert len(shop.signals.passed(Point.COMMITTED, outcome=Outcome.DEAD)) == len(shop.shipped) == 1

    asyncio.run(body())


def test_what_waits_behind_a_dead_letter_is_nothing_to_wait_for(url: str) -> None:
    """A key that is held until somebody looks does not keep an app from settling."""
    orders = Service("orders", owns=[Placed])

    @orders.reaction(retry=NEVER, on_dead_letter="hold")
    async def check(order: Placed, tx: Transaction) -> None:
        raise ValueError

    async def body() -> None:
        signals = Signals()
        app = App([orders], broker=url, observers=[signals])
        async with app.running():
            for _ in range(3):
                await orders.emit(Placed(order_id="1"))
            await app.settled()
            assert len(signals.passed(Point.BEHIND)) == 2

    asyncio.run(body())


def test_services_that_run_elsewhere_are_not_waited_for(tmp_path: Path) -> None:
    """Their part stays to be done; only what runs here counts."""
    shop = Shop(f"sqlite:///{tmp_path / 'shop.db'}")

    async def body() -> None:
        async with shop.app.running(["payments"]):
            await shop.place(3)
            await shop.app.settled()
        assert shop.shipped == []
        assert len(shop.signals.passed(Point.COMMITTED, reaction="payments.pay")) == 3

    asyncio.run(body())


def test_at_most_once_is_waited_for_while_it_runs(url: str) -> None:
    """A delivery that is taken for good before it runs is at work until it is recorded."""
    orders, handled = Service("orders", owns=[Placed]), list[str]()

    @orders.reaction(guarantee="at_most_once")
    async def greet(order: Placed) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        handled.append(order.order_id)

    async def body() -> None:
        app = App([orders], broker=url, observers=[])
        async with app.running():
            await orders.emit(Placed(order_id="1"))
            await app.settled()
            assert handled == ["1"]

    asyncio.run(body())


def test_an_app_that_is_not_open_does_not_settle() -> None:
    """It says where to wait."""
    with pytest.raises(StartupError, match=r"inside `async with app.running"):
        asyncio.run(Shop("memory://").app.settled())
