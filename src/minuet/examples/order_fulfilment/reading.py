"""Reading an invoice: which of its lines count, what they cost, and what they move. Pure.

The rules: six digits number an order, `C` and six digits a return; any other number is neither. An order's
quantities are above zero, a return's below; every price is above zero. A stock code that begins with five
digits is goods.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal, TypeAlias

from .events import Goods, InvoiceLine, InvoiceReceived, RejectedLine

ORDER = re.compile(r"[0-9]{6}")
RETURN = re.compile(r"C[0-9]{6}")
GOODS = re.compile(r"[0-9]{5}")

# What is written otherwise is no number here. Seven digits keep every sum within 64 bits.
QUANTITY = re.compile(r"-?[0-9]{1,7}")
PRICE = re.compile(r"-?[0-9]{1,7}(\.[0-9]{1,9})?")

Kind: TypeAlias = Literal["order", "return", "rejected"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What an invoice says. Total and goods are those of the lines that were kept."""

    kind: Kind
    customer: str | None
    total_pence: int
    goods: tuple[Goods, ...]
    rejected: tuple[RejectedLine, ...]


def read(invoice: InvoiceReceived) -> Reading:
    """Judge every line of an invoice, then the invoice by what is left of it."""
    sign = sign_of(invoice.invoice_no)
    total_pence = 0
    goods: list[Goods] = []
    rejected: list[RejectedLine] = []
    for number, line in enumerate(invoice.lines, start=1):
        if reason := why_not(line, sign):
            rejected.append(RejectedLine(number, reason))
            continue
        units = abs(int(line.quantity))
        total_pence += amount_pence(units, line.unit_price)
        if GOODS.match(line.stock_code):
            goods.append(Goods(line.stock_code, units))
    kind: Kind = "order" if sign > 0 else "return"
    if len(rejected) == len(invoice.lines):
        kind = "rejected"
    customer = next((line.customer_id for line in invoice.lines if line.customer_id), None)
    return Reading(kind, customer, total_pence, tuple(goods), tuple(rejected))


def sign_of(invoice_no: str) -> int:
    """Return the sign that quantities must have: 1 in an order, -1 in a return, 0 where none is right."""
    if ORDER.fullmatch(invoice_no):
        return 1
    return -1 if RETURN.fullmatch(invoice_no) else 0


def why_not(line: InvoiceLine, sign: int) -> str | None:
    """Return the reason to reject a line, or None to keep it."""
    if sign == 0:
        return "invoice_kind"
    if not QUANTITY.fullmatch(line.quantity) or int(line.quantity) * sign <= 0:
        return "quantity"
    if not PRICE.fullmatch(line.unit_price) or Decimal(line.unit_price) <= 0:
        return "price"
    return None


def amount_pence(units: int, unit_price: str) -> int:
    """Return what a line costs: exact, then rounded half to even. `unit_price` is in pounds."""
    return int((units * Decimal(unit_price) * 100).quantize(Decimal(1), ROUND_HALF_EVEN))
