"""A small shop whose choreography the tests of this directory read, draw and question."""

from collections.abc import AsyncIterator

from minuet import Deprecated, Event, Service, Transaction, Workflow, retry


class OrderPlaced(Event, version=2, key="order_id", owner="sales", consumers=("payments", "mail")):
    """A customer committed to buy."""

    order_id: str
    total_pence: int


class PaymentCaptured(Event, key="order_id", guarantee="effectively_once"):
    """The money is ours."""

    order_id: str


class PaymentDeclined(Event, key="order_id", on_dead_letter="hold"):
    order_id: str


class OrderShipped(Event, key="order_id"):
    order_id: str


class LabelPrinted(Event, deprecated=Deprecated(since="2026-01-31", use="OrderShipped")):
    order_id: str


class Printer:
    """What shipping provides."""


class OutOfPaper(Exception):
    """What no retry can heal."""


orders = Service("orders", owns=[OrderPlaced])
payments = Service("payments", owns=[PaymentCaptured, PaymentDeclined])
shipping = Service("shipping", owns=[OrderShipped, LabelPrinted])
mail = Service("mail")


def large(order: OrderPlaced) -> bool:
    """Whether it is worth a letter."""
    return order.total_pence > 100


@payments.reaction(retry=retry(times=2, first="1s", most="2s"))
async def charge(order: OrderPlaced, tx: Transaction) -> PaymentCaptured | PaymentDeclined:
    """Take the money."""
    return PaymentCaptured(order_id=order.order_id)


@shipping.provides
def printer() -> Printer:
    """The one printer."""
    return Printer()


@shipping.reaction(never=OutOfPaper, guarantee="at_least_once", concurrency=3, on_dead_letter="continue")
async def ship(paid: PaymentCaptured, printer: Printer) -> tuple[LabelPrinted, OrderShipped]:
    """Pack and hand over."""
    return LabelPrinted(order_id=paid.order_id), OrderShipped(order_id=paid.order_id)


@mail.reaction(when=large)
async def welcome(order: OrderPlaced) -> None:
    """Write to the customer."""


@mail.reaction
async def archive(event: PaymentDeclined | OrderShipped) -> AsyncIterator[LabelPrinted]:
    """Print it again for the files."""
    yield LabelPrinted(order_id=event.order_id)


order_flow = Workflow("order", starts=OrderPlaced, ends=OrderShipped | PaymentDeclined, within="1h")
services = [orders, payments, shipping, mail]
