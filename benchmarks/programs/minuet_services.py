"""The reference work on minuet: six events, five services in a chain, one SQLite file as broker and store."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import uvloop
from msgspec import Meta
from msgspec.structs import astuple

from benchmarks.programs.order import INSERT, Order
from minuet import App, Event, Service, Transaction, Workflow, Writes
from minuet.runtime.garbage import collect_seldom

T = TypeVar("T")

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Quantity = Annotated[int, Meta(ge=1)]
Pence = Annotated[int, Meta(ge=0)]
Address = Annotated[str, Meta(min_length=1, max_length=200)]

AWAITED_S = 0.005
"""How long the reaction that awaits somebody awaits them."""


class OrderRequested(Event, version=1, key="order_id"):
    """A customer wants something. Starts an instance."""

    order_id: Name
    customer_id: Name
    sku: Name
    quantity: Quantity
    total_pence: Pence
    address: Address


class OrderAccepted(Event, version=1, key="order_id"):
    """The shop will deliver."""

    order_id: Name
    customer_id: Name
    sku: Name
    quantity: Quantity
    total_pence: Pence
    address: Address


class PaymentTaken(Event, version=1, key="order_id"):
    """The customer has paid."""

    order_id: Name
    customer_id: Name
    sku: Name
    quantity: Quantity
    total_pence: Pence
    address: Address


class StockReserved(Event, version=1, key="order_id"):
    """The goods are set aside."""

    order_id: Name
    customer_id: Name
    sku: Name
    quantity: Quantity
    total_pence: Pence
    address: Address


class ParcelSent(Event, version=1, key="order_id"):
    """The goods are on their way."""

    order_id: Name
    customer_id: Name
    sku: Name
    quantity: Quantity
    total_pence: Pence
    address: Address


class CustomerTold(Event, version=1, key="order_id"):
    """The customer knows. Ends the instance."""

    order_id: Name
    customer_id: Name
    sku: Name
    quantity: Quantity
    total_pence: Pence
    address: Address


def requested(order: Order) -> OrderRequested:
    """The event that starts this order's instance."""
    return OrderRequested(**order._asdict())


class Chain:
    """The five services. `told` is called in the last one's transaction, as its reaction runs.

    `insert` is each service's statement. With `awaiting`, payments awaits 5 ms outside any transaction and
    leaves its row as `Writes`.
    """

    def __init__(self, told: Callable[[], None], *, insert: Mapping[str, str] = INSERT, awaiting: bool = False) -> None:
        self.orders = Service("orders", owns=[OrderRequested, OrderAccepted])
        self.payments = Service("payments", owns=[PaymentTaken])
        self.inventory = Service("inventory", owns=[StockReserved])
        self.shipping = Service("shipping", owns=[ParcelSent])
        self.notification = Service("notification", owns=[CustomerTold])
        self.services = [self.orders, self.payments, self.inventory, self.shipping, self.notification]
        self._accept(insert["orders"])
        if awaiting:
            self._take_awaiting(insert["payments"])
        else:
            self._take(insert["payments"])
        self._reserve(insert["inventory"])
        self._send(insert["shipping"])
        self._tell(insert["notification"], told)

    def _accept(self, insert: str) -> None:
        @self.orders.reaction
        async def accept(order: OrderRequested, tx: Transaction) -> OrderAccepted:
            await tx.execute(insert, astuple(order))
            return OrderAccepted(
                order_id=order.order_id,
                customer_id=order.customer_id,
                sku=order.sku,
                quantity=order.quantity,
                total_pence=order.total_pence,
                address=order.address,
            )

    def _take(self, insert: str) -> None:
        @self.payments.reaction
        async def take(order: OrderAccepted, tx: Transaction) -> PaymentTaken:
            await tx.execute(insert, astuple(order))
            return _paid(order)

    def _take_awaiting(self, insert: str) -> None:
        @self.payments.reaction
        async def take(order: OrderAccepted, writes: Writes) -> PaymentTaken:
            await asyncio.sleep(AWAITED_S)
            writes.execute(insert, astuple(order))
            return _paid(order)

    def _reserve(self, insert: str) -> None:
        @self.inventory.reaction
        async def reserve(paid: PaymentTaken, tx: Transaction) -> StockReserved:
            await tx.execute(insert, astuple(paid))
            return StockReserved(
                order_id=paid.order_id,
                customer_id=paid.customer_id,
                sku=paid.sku,
                quantity=paid.quantity,
                total_pence=paid.total_pence,
                address=paid.address,
            )

    def _send(self, insert: str) -> None:
        @self.shipping.reaction
        async def send(reserved: StockReserved, tx: Transaction) -> ParcelSent:
            await tx.execute(insert, astuple(reserved))
            return ParcelSent(
                order_id=reserved.order_id,
                customer_id=reserved.customer_id,
                sku=reserved.sku,
                quantity=reserved.quantity,
                total_pence=reserved.total_pence,
                address=reserved.address,
            )

    def _tell(self, insert: str, told: Callable[[], None]) -> None:
        @self.notification.reaction
        async def tell(sent: ParcelSent, tx: Transaction) -> CustomerTold:
            await tx.execute(insert, astuple(sent))
            told()
            return CustomerTold(
                order_id=sent.order_id,
                customer_id=sent.customer_id,
                sku=sent.sku,
                quantity=sent.quantity,
                total_pence=sent.total_pence,
                address=sent.address,
            )


def _paid(order: OrderAccepted) -> PaymentTaken:
    return PaymentTaken(
        order_id=order.order_id,
        customer_id=order.customer_id,
        sku=order.sku,
        quantity=order.quantity,
        total_pence=order.total_pence,
        address=order.address,
    )


def app_on(file: Path, services: list[Service], *, retention: str | None = None) -> App:
    """The application on one SQLite file as broker and store, every default as it ships but for `retention`."""
    url = f"sqlite:///{file}"
    return app_at(url, url, services, retention=retention)


def app_at(broker: str, store: str, services: list[Service], *, retention: str | None = None) -> App:
    """The application on any broker and store, every default as it ships but for `retention`."""
    flow = Workflow("order", starts=OrderRequested, ends=CustomerTold, within="1h")
    if retention is None:
        return App(services, workflows=[flow], broker=broker, store=store)
    return App(services, workflows=[flow], broker=broker, store=store, retention=retention)


@asynccontextmanager
async def at_work(app: App) -> AsyncGenerator[None]:
    """Run an application as a process of `minuet run` does, which does nothing else."""
    async with app.running():
        collect_seldom()
        yield


def run(measuring: Coroutine[Any, Any, T]) -> T:
    """Run on the event loop that `minuet run` takes where it is installed."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measuring)
