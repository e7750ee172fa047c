"""Orders: reads what the till hands over, and cancels what cannot be fulfilled."""

from typing import assert_never

from minuet import Service, Transaction

from .events import (
    GoodsReturned,
    InvoiceReceived,
    InvoiceRejected,
    OrderCancelled,
    OrderPlaced,
    PaymentDeclined,
    PaymentRefunded,
)
from .reading import Reading, read

orders = Service("orders", owns=[InvoiceReceived, OrderPlaced, GoodsReturned, InvoiceRejected, OrderCancelled])


@orders.setup
async def tables(tx: Transaction) -> None:
    """Create what this service remembers: each invoice, each line it rejected, each order it cancelled."""
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS orders_invoices (
            invoice_no TEXT PRIMARY KEY, kind TEXT NOT NULL, customer TEXT, total_pence BIGINT NOT NULL
        )""")
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS orders_rejected_lines (
            invoice_no TEXT NOT NULL, line INTEGER NOT NULL, stock_code TEXT NOT NULL, quantity TEXT NOT NULL,
            unit_price TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (invoice_no, line)
        )""")
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS orders_cancelled (order_id TEXT PRIMARY KEY, because TEXT NOT NULL)""")


@orders.reaction
async def read_invoice(invoice: InvoiceReceived, tx: Transaction) -> OrderPlaced | GoodsReturned | InvoiceRejected:
    """Tell orders from returns, and leave no line unaccounted for."""
    reading = read(invoice)
    await record(invoice, reading, tx)
    match reading.kind:
        case "order":
            return OrderPlaced(
                order_id=invoice.invoice_no,
                customer=reading.customer,
                total_pence=reading.total_pence,
                goods=reading.goods,
                rejected=reading.rejected,
            )
        case "return":
            return GoodsReturned(
                return_id=invoice.invoice_no,
                customer=reading.customer,
                total_pence=reading.total_pence,
                goods=reading.goods,
                rejected=reading.rejected,
            )
        case "rejected":
            return InvoiceRejected(invoice_no=invoice.invoice_no, rejected=reading.rejected)
    assert_never(reading.kind)


async def record(invoice: InvoiceReceived, reading: Reading, tx: Transaction) -> None:
    """Write the invoice down, and every rejected line as it came."""
    await tx.execute(
        "INSERT INTO orders_invoices VALUES (?, ?, ?, ?)",
        (invoice.invoice_no, reading.kind, reading.customer, reading.total_pence),
    )
    for rejected in reading.rejected:
        line = invoice.lines[rejected.line - 1]
        await tx.execute(
            "INSERT INTO orders_rejected_lines VALUES (?, ?, ?, ?, ?, ?)",
            (
                invoice.invoice_no,
                rejected.line,
                line.stock_code,
                line.quantity,
                line.unit_price,
                rejected.reason,
            ),
        )


@orders.reaction
async def cancel(why: PaymentDeclined | PaymentRefunded, tx: Transaction) -> OrderCancelled:
    """End an order that was not paid, or was paid back."""
    because = "declined" if isinstance(why, PaymentDeclined) else "short"
    await tx.execute("INSERT INTO orders_cancelled VALUES (?, ?)", (why.order_id, because))
    return OrderCancelled(order_id=why.order_id, because=because)
