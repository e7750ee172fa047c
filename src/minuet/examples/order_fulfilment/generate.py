"""Plausible orders, as many as are asked for: a file of invoice lines with the quirks of the shop's own."""

import csv
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TypeAlias

from .input import COLUMNS

FIRST_INVOICE = 100_000
MOST_ORDERS = 700_000  # returns and the like, about one for six orders, need six-digit numbers too

Row: TypeAlias = tuple[str, str, str, str]
"""Stock code, description, quantity, price in pounds."""


def write(file: Path, orders: int, seed: int) -> None:
    """Write a file with exactly so many orders, and the returns and rejected invoices that come with them.

    The same arguments give the same file. Raises ValueError for more than invoice numbers suffice for.
    """
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(lines(orders, seed))


def lines(orders: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the file, in the columns' order. One invoice arrives a minute."""
    if orders > MOST_ORDERS:
        raise ValueError(f"{orders} orders do not fit into six-digit invoice numbers; {MOST_ORDERS} do.")
    random = Random(seed)
    for minute, (prefix, rows) in enumerate(invoices(orders, random)):
        number = FIRST_INVOICE + minute
        date = f"2010-12-{1 + minute // 1440 % 28:02} {minute // 60 % 24:02}:{minute % 60:02}:00"
        customer = f"{random.randint(12_000, 18_999)}.0" if random.random() < 0.8 else ""
        for code, description, quantity, price in rows:
            yield f"{prefix}{number}", code, description, quantity, date, price, customer, "United Kingdom"


def invoices(orders: int, random: Random) -> Iterator[tuple[str, list[Row]]]:
    """Yield each invoice as the prefix of its number and its lines: orders, and other things between them."""
    for _ in range(orders):
        yield "", order(random)
        while random.random() < 0.14:
            yield random.choice((a_return, a_return, a_discount, a_correction, a_gift, an_adjustment))(random)


def order(random: Random) -> list[Row]:
    """Make up an order: goods, now and then postage, and now and then a gift, whose line is rejected."""
    if random.random() < 0.01:
        return [("DOT", "DOTCOM POSTAGE", "1", f"{random.randint(100, 50_000) / 100:.2f}")]
    rows = [good_line(random, 1) for _ in range(1 + min(int(random.expovariate(0.3)), 40))]
    rows += [("POST", "POSTAGE", "1", "18.00")] if random.random() < 0.1 else []
    rows += [("22139", "", str(random.randint(1, 50)), "0.0")] if random.random() < 0.03 else []
    return rows


def a_return(random: Random) -> tuple[str, list[Row]]:
    """Make up a return of goods."""
    return "C", [good_line(random, -1) for _ in range(random.choice((1, 1, 1, 2, 3)))]


def a_discount(random: Random) -> tuple[str, list[Row]]:
    """Make up a return of money alone."""
    return "C", [("D", "Discount", "-1", f"{random.randint(100, 5_000) / 100:.2f}")]


def a_correction(random: Random) -> tuple[str, list[Row]]:
    """Make up a correction of stock in an order's clothes: its quantity is rejected."""
    return "", [("21275", "?", str(-random.randint(1, 60)), "0.0")]


def a_gift(random: Random) -> tuple[str, list[Row]]:
    """Make up an order that costs nothing: its price is rejected."""
    return "", [("22139", "amazon", str(random.randint(1, 60)), "0.0")]


def an_adjustment(random: Random) -> tuple[str, list[Row]]:
    """Make up an invoice of another kind."""
    return "A", [("B", "Adjust bad debt", "1", f"{random.randint(100, 1_000_000) / 100:.2f}")]


def good_line(random: Random, sign: int) -> Row:
    """Make up a line of goods; `sign` is 1 in an order, -1 in a return. Wholesalers buy by the gross."""
    good = random.randrange(1_000)
    quantity = random.choice((1, 1, 2, 2, 3, 4, 6, 6, 8, 12, 24, 48, 144))
    code = f"{20_000 + good}{'ABCS'[good % 4] if good % 7 == 0 else ''}"
    return code, f"ARTICLE {good}", str(sign * quantity), price_of(good)


def price_of(good: int) -> str:
    """Return the price of an article in pounds; a few cost a fraction of a penny more."""
    return f"{0.19 + good % 40 * 0.35:.2f}" + ("5" if good % 50 == 0 else "")
