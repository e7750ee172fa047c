"""Payments: charges orders, and pays back what was not delivered or was returned."""

from minuet import Context, Service, Transaction, Writes, retry

from .bank import Bank
from .events import (
    GoodsReturned,
    OrderPlaced,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    ReturnRefunded,
    StockShort,
)
from .settings import Settings

payments = Service("payments", owns=[PaymentCaptured, PaymentDeclined, PaymentRefunded, ReturnRefunded])


@payments.setup
async def tables(tx: Transaction) -> None:
    """Create the ledger. No key forbids a second entry: a doubled charge would be there to see."""
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS payments_ledger (
            reference TEXT NOT NULL, entry TEXT NOT NULL, pence BIGINT NOT NULL
        )""")
    await tx.execute("CREATE INDEX IF NOT EXISTS payments_ledger_reference ON payments_ledger (reference)")


@payments.provides
def bank() -> Bank:
    """Open the line to the bank."""
    return Bank(Settings.from_environment())


@payments.reaction(retry=retry(times=8, first="50ms", most="1s"))
async def charge(order: OrderPlaced, bank: Bank, writes: Writes, context: Context) -> PaymentCaptured | PaymentDeclined:
    """Ask the bank for the order's total. The bank may be slow: no transaction is open while it thinks."""
    paid = await bank.pay(
        order.order_id, order.total_pence, idempotency_key=context.idempotency_key, attempt=context.attempt
    )
    entry, pence = ("charge", order.total_pence) if paid else ("decline", 0)
    writes.execute("INSERT INTO payments_ledger VALUES (?, ?, ?)", (order.order_id, entry, pence))
    if not paid:
        return PaymentDeclined(order_id=order.order_id)
    return PaymentCaptured(order_id=order.order_id, pence=order.total_pence, goods=order.goods)


@payments.reaction
async def refund_order(short: StockShort, tx: Transaction) -> PaymentRefunded:
    """Pay back what was charged for an order whose goods are missing."""
    pence = await tx.fetch_one(
        int,
        "SELECT pence FROM payments_ledger WHERE reference = ? AND entry = 'charge'",
        (short.order_id,),
    )
    if pence is None:
        raise LookupError(f"Stock is short for order {short.order_id}, which was never charged.")
    await tx.execute("INSERT INTO payments_ledger VALUES (?, 'order refund', ?)", (short.order_id, pence))
    return PaymentRefunded(order_id=short.order_id, pence=pence)


@payments.reaction
async def refund_return(back: GoodsReturned, tx: Transaction) -> ReturnRefunded:
    """Pay the customer for what came back."""
    await tx.execute("INSERT INTO payments_ledger VALUES (?, 'return refund', ?)", (back.return_id, back.total_pence))
    return ReturnRefunded(return_id=back.return_id, pence=back.total_pence)
