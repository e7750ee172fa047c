"""Invoices from files: every line, as text, grouped by invoice number. Nothing is judged here."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from .events import InvoiceLine, InvoiceReceived

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)

SHIPPED = Path(__file__).parent / "data" / "2010-12-01.csv"
"""The day that comes with this example; `data/ATTRIBUTION.md` says whose it is."""


def invoices(files: Sequence[Path]) -> Iterator[InvoiceReceived]:
    """Yield every invoice as soon as its last line has been read.

    An invoice is all lines that bear its number, wherever they stand. So the files are read twice: first to
    count the lines of each invoice, then to collect them; only invoices that are not yet complete are held
    in memory.
    """
    due = Counter(invoice_no for invoice_no, _ in lines(files))
    open_invoices: dict[str, list[InvoiceLine]] = {}
    for invoice_no, line in lines(files):
        collected = open_invoices.setdefault(invoice_no, [])
        collected.append(line)
        if len(collected) == due[invoice_no]:
            yield InvoiceReceived(invoice_no=invoice_no, lines=tuple(open_invoices.pop(invoice_no)))


def lines(files: Sequence[Path]) -> Iterator[tuple[str, InvoiceLine]]:
    """Yield each line with the number of its invoice.

    Columns are found by name, in any order. A line with too few ends in empty texts. Raises ValueError,
    naming the file, if a column is missing altogether.
    """
    for file in files:
        with file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            rows = csv.DictReader(stream, restval="")
            if missing := [column for column in COLUMNS if column not in (rows.fieldnames or ())]:
                raise ValueError(f"{file} holds no invoice lines: it has no column {', '.join(missing)}.")
            for row in rows:
                yield row["InvoiceNo"], InvoiceLine(*(row[column] for column in COLUMNS[1:]))
