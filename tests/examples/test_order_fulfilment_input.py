"""Invoices come whole from files, and made-up orders come the same every time."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.examples.order_fulfilment import generate
from minuet.examples.order_fulfilment.audit import expect
from minuet.examples.order_fulfilment.books import total
from minuet.examples.order_fulfilment.feed import id_of
from minuet.examples.order_fulfilment.input import COLUMNS, SHIPPED, invoices
from minuet.examples.order_fulfilment.settings import Settings

HEADER = ",".join(COLUMNS) + "\n"


def test_the_shipped_day_comes_whole() -> None:
    """Every line of the file is in an invoice, and every invoice comes once."""
    found = list(invoices([SHIPPED]))
    with SHIPPED.open(encoding="utf-8", newline="") as stream:
        assert sum(len(invoice.lines) for invoice in found) == sum(1 for _ in stream) - 1
    assert len({invoice.invoice_no for invoice in found}) == len(found) == 143


def test_an_invoice_is_all_lines_that_bear_its_number(tmp_path: Path) -> None:
    """Lines that stand apart, even in two files, make one invoice, which comes with its last line."""
    one, two = tmp_path / "1.csv", tmp_path / "2.csv"
    one.write_text(HEADER + "536365,A,,1,,1,,\n536366,B,,1,,1,,\n")
    two.write_text(HEADER + "536365,C,,1,,1,,\n")
    assert [(invoice.invoice_no, [line.stock_code for line in invoice.lines]) for invoice in invoices([one, two])] == [
        ("536366", ["B"]),
        ("536365", ["A", "C"]),
    ]


def test_columns_may_stand_in_another_order_and_lines_may_be_cut_short(tmp_path: Path) -> None:
    """Columns are found by name; what a line lacks is empty, and so rejected later, not lost."""
    file = tmp_path / "lines.csv"
    file.write_text(",".join(reversed(COLUMNS)) + "\nFrance,12583.0,3.75,2010-12-01,24,BUNNY,22728,536370\nUK\n")
    whole, cut = invoices([file])
    assert (whole.invoice_no, whole.lines[0].stock_code, whole.lines[0].quantity) == ("536370", "22728", "24")
    assert (cut.invoice_no, cut.lines[0].country, cut.lines[0].quantity) == ("", "UK", "")
    assert total(expect([file], Settings()).effects).rejected_by_reason == {"invoice_kind": 1}


def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    """A file without a column that is needed is refused, and the message names file and column."""
    file = tmp_path / "poems.csv"
    file.write_text("title,text\nOde,...\n")
    with pytest.raises(ValueError, match=r"poems\.csv holds no invoice lines: it has no column InvoiceNo"):
        list(invoices([file]))


def test_an_invoice_has_the_same_id_whenever_it_is_read() -> None:
    """A feeder that starts again repeats its ids, so nothing is handled twice."""
    first, second = ([id_of(invoice) for invoice in invoices([SHIPPED])] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)


def test_what_is_made_up_repeats_itself(tmp_path: Path) -> None:
    """One seed gives one file; another seed another one."""
    one, again, other = (tmp_path / name for name in ("one.csv", "again.csv", "other.csv"))
    for file, seed in ((one, 1), (again, 1), (other, 2)):
        generate.write(file, 50, seed)
    assert one.read_bytes() == again.read_bytes() != other.read_bytes()


@given(orders=st.integers(0, 60), seed=st.integers(0, 2**32))
def test_as_many_orders_are_made_up_as_were_asked_for(
    tmp_path_factory: pytest.TempPathFactory, orders: int, seed: int
) -> None:
    """What comes with them, returns and invoices to reject, is not counted among the orders."""
    file = tmp_path_factory.getbasetemp() / "generated.csv"
    generate.write(file, orders, seed)
    assert total(expect([file], Settings()).effects).orders == orders


def test_made_up_orders_have_every_quirk_of_real_ones(tmp_path: Path) -> None:
    """Among a thousand there are returns and lines to be rejected for each reason."""
    file = tmp_path / "orders.csv"
    generate.write(file, 1_000, seed=1)
    totals = total(expect([file], Settings()).effects)
    assert totals.returns > 0
    assert set(totals.rejected_by_reason) == {"invoice_kind", "price", "quantity"}


def test_more_orders_than_invoice_numbers_are_refused() -> None:
    """Six digits number 900 000 invoices, and what comes with the orders needs some of them."""
    with pytest.raises(ValueError, match="900000 orders do not fit into six-digit invoice numbers"):
        next(generate.lines(900_000, seed=1))
