"""The audit reads a file as the shop's books are defined, and sees every effect that is missing or doubled.

MINUET_ONLINE_RETAIL may name a directory with the first three days of December 2010; then their figures are
checked. Without it those of the one day that ships with the example are.
"""

import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from minuet.examples.order_fulfilment.audit import audit, expect
from minuet.examples.order_fulfilment.books import Effect, total
from minuet.examples.order_fulfilment.input import SHIPPED
from minuet.examples.order_fulfilment.settings import Settings

CALM = Settings(decline=0, shortage=0)

ONE_DAY = {
    "orders": 127,
    "returns": 6,
    "rejected_invoices": 10,
    "rejected_lines": 10,
    "rejected_by_reason": {"price": 9, "quantity": 1},
    "charged_pence": 5_896_079,
    "refunded_pence": 32_523,
    "units_shipped": 26_909,
    "units_restocked": 182,
}
THREE_DAYS = {
    "orders": 337,
    "returns": 36,
    "rejected_invoices": 45,
    "rejected_lines": 45,
    "rejected_by_reason": {"price": 15, "quantity": 30},
    "charged_pence": 15_365_288,
    "refunded_pence": 318_958,
    "units_shipped": 74_413,
    "units_restocked": 10_760,
}


DIRECTORY = os.environ.get("MINUET_ONLINE_RETAIL")


def days() -> tuple[list[Path], dict[str, object]]:
    """The real days that are there, and their figures: three where MINUET_ONLINE_RETAIL names them, else one."""
    if DIRECTORY is None:
        return [SHIPPED], ONE_DAY
    files = sorted(Path(DIRECTORY).glob("2010-12-0[123].csv"))
    assert len(files) == 3
    return files, THREE_DAYS


def one_of_each_kind(effects: Counter[Effect]) -> list[Effect]:
    """One effect of every kind that there is."""
    return list({effect.kind: effect for effect in effects}.values())


def lines_file(path: Path, *lines: str) -> Path:
    """A file of invoice lines, each given as number, code, quantity and price."""
    rows = [line.split() for line in lines]
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    path.write_text(header + "".join(f"{no},{code},,{units},,{price},,\n" for no, code, units, price in rows))
    return path


def of(files: list[Path], figures: dict[str, object]) -> dict[str, object]:
    """What the books of these files say, with nothing declined and nothing short, where there are figures."""
    totals = asdict(total(expect(files, CALM).effects))
    return {name: totals[name] for name in figures}


def test_the_books_of_the_shipped_day_are_the_known_ones() -> None:
    """Every total of the one day that ships equals the figure that others computed."""
    assert of([SHIPPED], ONE_DAY) == ONE_DAY


def test_the_books_of_the_days_that_are_there_are_the_known_ones() -> None:
    """Of the three real days where MINUET_ONLINE_RETAIL names them, else of the shipped one again: every total."""
    files, figures = days()
    assert of(files, figures) == figures


def test_the_shipped_day_shows_every_outcome() -> None:
    """With settings as they come, orders of the shipped day are declined, short, and refuse mail."""
    expectation = expect([SHIPPED], Settings())
    totals = total(expectation.effects)
    assert totals.declined > 0
    assert totals.short > 0
    assert totals.returns > 0
    assert expectation.dead_letters > 0


def test_a_line_is_rejected_for_the_first_rule_that_it_breaks(tmp_path: Path) -> None:
    """An unknown kind of invoice comes before its quantities, a quantity before a price."""
    file = lines_file(
        tmp_path / "lines.csv",
        "A563185 B 1 11062.06",  # neither order nor return
        "536365 22139 -1 0",  # both wrong
        "536365 22139 0 1.00",
        "536365 22139 1 -5.00",
        "536365 22139 ten 1.00",
        "536365 22139 2 1.005",
        "C536379 D 1 27.50",  # in a return
    )
    totals = total(expect([file], CALM).effects)
    assert totals.rejected_by_reason == {"invoice_kind": 1, "price": 1, "quantity": 4}
    assert totals.rejected_invoices == 2
    assert totals.orders == 1
    assert totals.charged_pence == 201


@pytest.mark.parametrize(("price", "pence"), [("0.005", 0), ("0.015", 2), ("0.025", 2), ("0.0251", 3)])
def test_half_a_penny_goes_to_the_even_one(tmp_path: Path, price: str, pence: int) -> None:
    """Amounts are exact until they are rounded, half to even."""
    file = lines_file(tmp_path / "lines.csv", f"536365 22139 1 {price}")
    assert total(expect([file], CALM).effects).charged_pence == pence


def test_books_that_equal_the_expectation_balance() -> None:
    """With all effects in place once, and the dead letters that must be, nothing is found."""
    expectation = expect([SHIPPED], Settings())
    result = audit(expectation, Counter(expectation.effects), expectation.dead_letters)
    assert result.balanced
    assert result.findings == ()
    assert (result.lost, result.doubled) == (0, 0)


def test_every_single_loss_is_seen() -> None:
    """Whichever kind of effect is missing from the books, the audit says which."""
    expectation = expect([SHIPPED], Settings())
    for effect in one_of_each_kind(expectation.effects):
        books = Counter(expectation.effects)
        books[effect] -= 1
        result = audit(expectation, +books, expectation.dead_letters)
        assert (result.lost, result.doubled) == (1, 0)
        assert f"1 x lost: {effect}" in result.findings


def test_every_single_doubling_is_seen() -> None:
    """Whichever kind of effect stands in the books once too often, the audit says which."""
    expectation = expect([SHIPPED], Settings())
    for effect in one_of_each_kind(expectation.effects):
        books = Counter(expectation.effects)
        books[effect] += 1
        result = audit(expectation, books, expectation.dead_letters)
        assert (result.lost, result.doubled) == (0, 1)
        assert f"1 x too often: {effect}" in result.findings


def test_a_charge_of_another_amount_breaks_the_identities() -> None:
    """A penny too much is one loss, one doubling, and money that does not balance against goods."""
    expectation = expect([SHIPPED], CALM)
    charge = next(effect for effect in expectation.effects if effect.kind == "charge")
    books = expectation.effects - Counter([charge]) + Counter([charge._replace(pence=charge.pence + 1)])
    result = audit(expectation, books, expectation.dead_letters)
    assert (result.lost, result.doubled) == (1, 1)
    assert any("charged and not refunded" in finding for finding in result.findings)


def test_a_dead_letter_too_many_is_a_finding() -> None:
    """Books that balance otherwise do not balance if a delivery died that need not have."""
    expectation = expect([SHIPPED], Settings())
    result = audit(expectation, Counter(expectation.effects), expectation.dead_letters + 1)
    assert not result.balanced


def test_an_effect_that_nobody_expected_is_doubled() -> None:
    """What has no place in the books at all is there once too often."""
    expectation = expect([SHIPPED], CALM)
    result = audit(expectation, expectation.effects + Counter([Effect("charge", "999999", pence=1)]), 1)
    assert result.doubled == 1
