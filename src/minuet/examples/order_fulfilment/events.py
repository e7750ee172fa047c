"""Every event of the shop, in the order in which an invoice meets them.

An order goes by the number of its invoice (`536365`), a return likewise (`C536379`). Money is in pence. An
event carries what the next service needs, so that no service asks another.
"""

from dataclasses import dataclass

from minuet import Event


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line of an invoice as the shop's till recorded it: text, not yet judged."""

    stock_code: str
    description: str
    quantity: str
    invoice_date: str
    unit_price: str
    customer_id: str
    country: str


@dataclass(frozen=True, slots=True)
class Goods:
    """Units of one stock code that lie on a shelf; postage, fees and vouchers are no goods."""

    stock_code: str
    units: int


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that is not part of the order or return, and why: `invoice_kind`, `quantity` or `price`.

    `line` counts from 1 within its invoice.
    """

    line: int
    reason: str


class InvoiceReceived(Event, version=1):
    """The till handed over an invoice. Whether it is an order, a return or neither is not known yet.

    It has no key: nothing else is said about an invoice before it is read, and its number may be anything.
    """

    invoice_no: str
    lines: tuple[InvoiceLine, ...]


class InvoiceRejected(Event, version=1):
    """No line of the invoice could be kept. Nothing else happens to it."""

    invoice_no: str
    rejected: tuple[RejectedLine, ...]


class OrderPlaced(Event, version=1, key="order_id"):
    """A customer committed to buy. Nothing is charged or reserved yet. A guest has no customer number."""

    order_id: str
    customer: str | None
    total_pence: int
    goods: tuple[Goods, ...]
    rejected: tuple[RejectedLine, ...] = ()


class PaymentCaptured(Event, version=1, key="order_id"):
    """The order is paid in full; its goods may leave the shelf."""

    order_id: str
    pence: int
    goods: tuple[Goods, ...]


class PaymentDeclined(Event, version=1, key="order_id"):
    """The bank refused to pay for the order. Nothing was charged."""

    order_id: str


class StockReserved(Event, version=1, key="order_id"):
    """All goods of the paid order left the shelf: `units` in all, none if the order is for services alone."""

    order_id: str
    pence: int
    units: int


class StockShort(Event, version=1, key="order_id"):
    """Goods of the paid order are missing, and so none of them left the shelf."""

    order_id: str
    missing: tuple[str, ...]


class PaymentRefunded(Event, version=1, key="order_id"):
    """A paid order that cannot be fulfilled was paid back in full."""

    order_id: str
    pence: int


class OrderShipped(Event, version=1, key="order_id"):
    """The order is complete: its goods, worth `pence` with all charges, are on their way."""

    order_id: str
    pence: int
    units: int


class OrderCancelled(Event, version=1, key="order_id"):
    """The order ends without goods, and the customer has every penny back."""

    order_id: str
    because: str


class GoodsReturned(Event, version=1, key="return_id"):
    """A customer sent goods back. Neither the money nor the goods are back in place yet."""

    return_id: str
    customer: str | None
    total_pence: int
    goods: tuple[Goods, ...]
    rejected: tuple[RejectedLine, ...] = ()


class ReturnRefunded(Event, version=1, key="return_id"):
    """The customer has the money for a return."""

    return_id: str
    pence: int


class StockRestocked(Event, version=1, key="return_id"):
    """Returned goods are back on the shelf."""

    return_id: str
    units: int
