"""Reading an invoice: the service and the audit understand the rules alike, whatever an invoice says."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minuet.examples.order_fulfilment.audit import expect
from minuet.examples.order_fulfilment.books import total
from minuet.examples.order_fulfilment.chance import bank_timeouts, draw, is_declined
from minuet.examples.order_fulfilment.events import InvoiceLine, InvoiceReceived
from minuet.examples.order_fulfilment.input import COLUMNS, invoices
from minuet.examples.order_fulfilment.reading import amount_pence, read
from minuet.examples.order_fulfilment.settings import Settings

ARABIC = "\u0665\u0663\u0666\u0663\u0666\u0665"
"""536365 in Arabic digits: digits to many a program, but not to the till."""

numbers = st.sampled_from(["536365", "C536379", "A563185", "53636", "5363655", "c536379", "C53637", ARABIC, ""])
codes = st.sampled_from(["85123A", "71053", "POST", "D", "1234", "12345", ARABIC[1:], ""])
quantities = st.one_of(
    st.integers(-20, 20).map(str),
    st.sampled_from(["", "1.0", "-0", "+1", "1_0", " 1", "1e2", "nan", ARABIC[:1], "9999999", "10000000"]),
)
prices = st.one_of(
    st.decimals(-5, 5, places=3).map(str),
    st.sampled_from(["", "0", "0.0", "-0.0", "inf", "nan", "1/3", ".5", "5.", "1e3", "+1", "1_0", "12345678"]),
)
rows = st.lists(st.tuples(numbers, codes, quantities, prices), max_size=12)


@given(rows)
@example([("536365", "85123A", "6", "2.55"), ("C536379", "85123A", "-6", "2.55"), ("536365", "POST", "1", "0.005")])
def test_service_and_audit_agree_on_every_invoice(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, str]]
) -> None:
    """Both come to the same orders, returns, rejections, pence and units, though they share no code."""
    file = tmp_path_factory.getbasetemp() / "lines.csv"
    write(file, rows)
    readings = [read(invoice) for invoice in invoices([file])]
    audited = total(expect([file], Settings(decline=0, shortage=0)).effects)

    def of(kind: str) -> list[int]:
        return [reading.total_pence for reading in readings if reading.kind == kind]

    assert (len(of("order")), sum(of("order"))) == (audited.orders, audited.charged_pence)
    assert (len(of("return")), sum(of("return"))) == (audited.returns, audited.refunded_pence)
    assert len(of("rejected")) == audited.rejected_invoices
    assert sum(len(reading.rejected) for reading in readings) == audited.rejected_lines
    moved = [(reading.kind, goods.units) for reading in readings for goods in reading.goods]
    assert sum(units for kind, units in moved if kind == "order") == audited.units_shipped
    assert sum(units for kind, units in moved if kind == "return") == audited.units_restocked


@given(st.integers(1, 10**7 - 1), st.decimals("0.000000001", 10**7 - 1, places=9))
def test_an_amount_is_exact_to_half_a_penny(units: int, price: Decimal) -> None:
    """The amount in whole pence is never further than half a penny from the exact one."""
    exact = units * price * 100
    assert abs(amount_pence(units, f"{price:f}") - exact) <= Decimal("0.5")


def test_a_guest_places_an_order_like_anybody() -> None:
    """A missing customer is a guest, not an error."""
    line = InvoiceLine("71053", "LANTERN", "6", "2010-12-01 08:26:00", "3.39", "", "United Kingdom")
    reading = read(InvoiceReceived(invoice_no="536365", lines=(line,)))
    assert (reading.kind, reading.customer, reading.total_pence) == ("order", None, 2034)


@given(st.integers(), st.text(max_size=8), st.text(max_size=8))
def test_chance_is_drawn_from_zero_up_to_one_and_repeats_itself(seed: int, kind: str, order_id: str) -> None:
    """The same order is dealt the same, whoever asks and however often."""
    drawn = draw(seed, kind, order_id)
    assert 0 <= drawn < 1
    assert drawn == draw(seed, kind, order_id)


@given(st.text(max_size=8))
def test_rates_of_zero_and_one_leave_nothing_to_chance(order_id: str) -> None:
    """At 0 nothing is ever declined and no bank is slow; at 1 every payment is declined."""
    assert not is_declined(Settings(decline=0), order_id)
    assert is_declined(Settings(decline=1), order_id)
    assert bank_timeouts(Settings(bank_timeout=0), order_id) == 0
    assert bank_timeouts(Settings(bank_timeout=1), order_id) in (1, 2)


@given(st.integers(), st.floats(0, 1), st.floats(0, 1))
def test_settings_survive_the_environment(seed: int, decline: float, shortage: float) -> None:
    """What one process puts into the environment another reads from it, to the last bit."""
    settings = Settings(seed=seed, decline=decline, shortage=shortage)
    assert Settings.from_environment(settings.to_environment()) == settings


def test_settings_that_are_no_shares_are_refused() -> None:
    """A rate above 1, or a text, is refused in a sentence that names it."""
    with pytest.raises(ValueError, match="decline is 5"):
        Settings(decline=5)
    with pytest.raises(ValueError, match="MINUET_ORDER_SHORTAGE is 'often'"):
        Settings.from_environment({"MINUET_ORDER_SHORTAGE": "often"})


def write(file: Path, rows: list[tuple[str, str, str, str]]) -> None:
    """Write lines, each given as invoice number, stock code, quantity and price."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows((no, code, "", units, "", price, "", "") for no, code, units, price in rows)
