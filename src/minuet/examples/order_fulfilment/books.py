"""The books: what the five services did, as queries on their own tables that run on every store, a row an effect."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Effect(NamedTuple):
    """Something that a service did for an order or return. It ought to be in the books exactly once.

    (Of the kinds `moved` there may be several, one for each line of goods.)
    """

    kind: str
    reference: str
    units: int = 0
    pence: int = 0
    detail: str = ""


EFFECTS = {
    "orders": """
        SELECT kind, invoice_no, 0, total_pence, '' FROM orders_invoices
        UNION ALL SELECT 'cancelled', order_id, 0, 0, because FROM orders_cancelled""",
    "payments": "SELECT entry, reference, 0, pence, '' FROM payments_ledger",
    "inventory": "SELECT decision, reference, units, 0, '' FROM inventory_decisions",
    "shipping": "SELECT 'shipped', order_id, units, pence, '' FROM shipping_shipments",
    "notifications": "SELECT 'told', reference, 0, 0, news FROM notifications_sent",
}
"""For each service a query for its effects: one row for each reaction that had one."""

DETAILS = """
    SELECT 'rejected line', invoice_no, line, 0, reason FROM orders_rejected_lines
    UNION ALL SELECT 'moved', reference, units, 0, stock_code FROM inventory_movements"""
"""The effects of which one reaction may have several."""

SERVICE_OF = {
    "order": "orders",
    "return": "orders",
    "rejected": "orders",
    "cancelled": "orders",
    "charge": "payments",
    "decline": "payments",
    "order refund": "payments",
    "return refund": "payments",
    "reserved": "inventory",
    "short": "inventory",
    "restocked": "inventory",
    "shipped": "shipping",
    "told": "notifications",
}
"""Whose effect it is, of each kind of which a reaction has one."""


BOOKS = " UNION ALL ".join([*EFFECTS.values(), DETAILS])
"""The query for all effects, each as often as it stands there."""

PROGRESS = " UNION ALL ".join(
    f"SELECT '{service}', count(*) FROM ({query}) AS {service}"  # noqa: S608  # a query of our own, from above
    for service, query in EFFECTS.items()
)
"""The query for the number of each service's reactions that have had their effect. Cheap enough for a few a second."""


def effects_of(rows: Iterable[Sequence[Any]]) -> Counter[Effect]:
    """Count the effects in what `BOOKS` has found."""
    return Counter(map(Effect._make, rows))


def progress_of(effects: Counter[Effect]) -> dict[str, int]:
    """Count the same for effects that are known: what `PROGRESS` finds once all of them have come about."""
    counts = dict.fromkeys(EFFECTS, 0)
    for effect, times in effects.items():
        if service := SERVICE_OF.get(effect.kind):
            counts[service] += times
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The sums of the books. Money is in pence, goods in units."""

    orders: int
    returns: int
    rejected_invoices: int
    rejected_lines: int
    rejected_by_reason: dict[str, int]
    charged_pence: int
    refunded_pence: int  # for returns and for orders that ran short
    refunded_orders_pence: int  # the part of it for orders that ran short
    refunded_returns: int
    shipped: int
    shipped_pence: int
    returned_pence: int
    units_shipped: int
    units_restocked: int
    units_moved: int  # by the single movements: out of stock is negative
    declined: int
    short: int
    cancelled: int


def total(effects: Counter[Effect]) -> Totals:
    """Add up effects."""
    count, pence, units, reasons = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for effect, times in effects.items():
        count[effect.kind] += times
        pence[effect.kind] += times * effect.pence
        units[effect.kind] += times * effect.units
        if effect.kind == "rejected line":
            reasons[effect.detail] += times
    return Totals(
        orders=count["order"],
        returns=count["return"],
        rejected_invoices=count["rejected"],
        rejected_lines=count["rejected line"],
        rejected_by_reason=dict(sorted(reasons.items())),
        charged_pence=pence["charge"],
        refunded_pence=pence["order refund"] + pence["return refund"],
        refunded_orders_pence=pence["order refund"],
        refunded_returns=count["return refund"],
        shipped=count["shipped"],
        shipped_pence=pence["shipped"],
        returned_pence=pence["return"],
        units_shipped=units["shipped"],
        units_restocked=units["restocked"],
        units_moved=units["moved"],
        declined=count["decline"],
        short=count["short"],
        cancelled=count["cancelled"],
    )
