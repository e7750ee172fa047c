"""The audit: what must have happened, computed from the input alone, against what the books say did happen.

It reads the files by itself, has its own understanding of the rules, and shares no code with the services
except the rolls of the dice (`chance`), which are the world's and not the shop's.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .books import Effect, Totals, total
from .chance import is_declined, is_refused, is_short
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit found. `findings` says in sentences what does not balance; with none, all is well.

    `lost` effects should be in the books and are not; `doubled` ones are there more often than they should
    be.
    """

    expected: Totals
    found: Totals
    dead_letters_expected: int
    lost: int
    doubled: int
    findings: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        """Whether money and goods balance to the penny and to the unit."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be in the books, and how many mails must have ended as dead letters."""

    effects: Counter[Effect]
    dead_letters: int


def expect(files: Sequence[Path], settings: Settings) -> Expectation:
    """Work through the input line by line."""
    effects = Counter[Effect]()
    dead_letters = 0
    for number, rows in by_invoice(files).items():
        told, caused = consequences(number, rows, settings)
        effects.update(caused)
        if told and is_refused(settings, number):
            dead_letters += 1
        elif told:
            effects[Effect("told", number, detail=told)] += 1
    return Expectation(effects, dead_letters)


def by_invoice(files: Sequence[Path]) -> dict[str, list[tuple[str, str, str]]]:
    """Collect stock code, quantity and price of each line under its invoice number."""
    invoices: dict[str, list[tuple[str, str, str]]] = {}
    for file in files:
        with file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            rows = csv.reader(stream)
            header = next(rows)
            columns = [header.index(name) for name in ("InvoiceNo", "StockCode", "Quantity", "UnitPrice")]
            for row in filter(None, rows):
                number, code, quantity, price = (row[at] if at < len(row) else "" for at in columns)
                invoices.setdefault(number, []).append((code, quantity, price))
    return invoices


def consequences(number: str, rows: list[tuple[str, str, str]], settings: Settings) -> tuple[str | None, list[Effect]]:
    """Return what the customer is told at the end of one invoice, if anything, and all other effects."""
    effects: list[Effect] = []
    pence, goods = 0, list[tuple[str, int]]()
    for position, (code, quantity, price) in enumerate(rows, start=1):
        reason = rejection(number, quantity, price)
        if reason:
            effects.append(Effect("rejected line", number, units=position, detail=reason))
        else:
            pence += round(abs(int(quantity)) * Fraction(price) * 100)  # rounds half to even
            goods += [(code, abs(int(quantity)))] if re.match("[0-9]{5}", code) else []
    if len(effects) == len(rows):
        return None, [*effects, Effect("rejected", number)]
    units = sum(count for _, count in goods)

    if number.startswith("C"):
        effects += [Effect("return", number, pence=pence), Effect("return refund", number, pence=pence)]
        effects += [Effect("moved", number, units=count, detail=code) for code, count in goods]
        effects += [Effect("restocked", number, units=units)] if goods else []
        return "refunded", effects

    effects.append(Effect("order", number, pence=pence))
    if is_declined(settings, number):
        effects += [Effect("decline", number), Effect("cancelled", number, detail="declined")]
        return "cancelled", effects
    effects.append(Effect("charge", number, pence=pence))
    if goods and is_short(settings, number):
        effects += [
            Effect("short", number),
            Effect("order refund", number, pence=pence),
            Effect("cancelled", number, detail="short"),
        ]
        return "cancelled", effects
    effects += [Effect("moved", number, units=-count, detail=code) for code, count in goods]
    effects += [Effect("reserved", number, units=units), Effect("shipped", number, units=units, pence=pence)]
    return "shipped", effects


def rejection(number: str, quantity: str, price: str) -> str | None:
    """Return why a line counts for nothing, or None if it counts."""
    is_return = number[:1] == "C"
    if not re.fullmatch("C?[0-9]{6}", number):
        return "invoice_kind"
    if not re.fullmatch("-?[0-9]{1,7}", quantity) or int(quantity) == 0 or (int(quantity) < 0) != is_return:
        return "quantity"
    if not re.fullmatch(r"[0-9]{1,7}([.][0-9]{1,9})?", price) or not re.search("[1-9]", price):
        return "price"
    return None


def audit(expectation: Expectation, found: Counter[Effect], dead_letters: int) -> Audit:
    """Compare what must have happened with the books, and with the number of dead letters that there are."""
    lost = expectation.effects - found
    doubled = found - expectation.effects
    expected_totals, totals = total(expectation.effects), total(found)
    findings = [
        *(f"{times} x lost: {effect}" for effect, times in lost.items()),
        *(f"{times} x too often: {effect}" for effect, times in doubled.items()),
        *imbalances(totals),
    ]
    if dead_letters != expectation.dead_letters:
        findings.append(f"{dead_letters} dead letters, and there must be {expectation.dead_letters}.")
    return Audit(expected_totals, totals, expectation.dead_letters, lost.total(), doubled.total(), tuple(findings))


def imbalances(books: Totals) -> Iterator[str]:
    """Yield a sentence for each identity that must hold in any shop and does not hold in these books."""
    kept = books.charged_pence - books.refunded_orders_pence
    if kept != books.shipped_pence:
        yield f"{kept} pence charged and not refunded for orders, but {books.shipped_pence} shipped."
    balance = books.charged_pence - books.refunded_pence
    if balance != books.shipped_pence - books.returned_pence:
        yield (
            f"{balance} pence charged and not refunded, but {books.shipped_pence} pence were shipped "
            f"and {books.returned_pence} came back."
        )
    if books.units_moved != books.units_restocked - books.units_shipped:
        yield (
            f"{books.units_moved} units moved, but {books.units_restocked} came back "
            f"and {books.units_shipped} went out."
        )
    if books.cancelled != books.declined + books.short:
        yield f"{books.cancelled} orders cancelled, but {books.declined} declined and {books.short} short."
    if books.orders != books.shipped + books.cancelled:
        yield f"{books.orders} orders placed, but {books.shipped} shipped and {books.cancelled} cancelled."
    if books.returns != books.refunded_returns:
        yield f"{books.returns} returns came in, but {books.refunded_returns} were paid."
