"""Notifications: tells customers how their orders and returns ended."""

from typing import assert_never

from minuet import Context, Service, Transaction, Writes, retry

from .events import OrderCancelled, OrderShipped, ReturnRefunded
from .mail import AddressRefused, Mail
from .settings import Settings

notifications = Service("notifications")


@notifications.setup
async def tables(tx: Transaction) -> None:
    """Create the list of what was sent."""
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS notifications_sent (reference TEXT NOT NULL, news TEXT NOT NULL)""")


@notifications.provides
def mail() -> Mail:
    """Open the line to the mail gateway."""
    return Mail(Settings.from_environment())


@notifications.reaction(retry=retry(times=8, first="50ms", most="1s"), never=AddressRefused)
async def tell(
    news: OrderShipped | OrderCancelled | ReturnRefunded, mail: Mail, writes: Writes, context: Context
) -> None:
    """Send one mail. An address that refuses it for good leaves a dead letter, for a person to look into."""
    reference, kind, text = words(news)
    await mail.send(reference, text, idempotency_key=context.idempotency_key, attempt=context.attempt)
    writes.execute("INSERT INTO notifications_sent VALUES (?, ?)", (reference, kind))


def words(news: OrderShipped | OrderCancelled | ReturnRefunded) -> tuple[str, str, str]:
    """Return what the news is about, its kind, and how to say it."""
    match news:
        case OrderShipped(order_id=order_id, units=0):
            return order_id, "shipped", f"Your order {order_id} is complete."
        case OrderShipped(order_id=order_id, units=units):
            return order_id, "shipped", f"Your order {order_id} is on its way: {units} pieces."
        case OrderCancelled(order_id=order_id, because="declined"):
            return order_id, "cancelled", f"Your order {order_id} is cancelled: your bank declined to pay."
        case OrderCancelled(order_id=order_id):
            return order_id, "cancelled", f"Your order {order_id} is sold out. You have your money back."
        case ReturnRefunded(return_id=return_id, pence=pence):
            return return_id, "refunded", f"For your return {return_id} you have £{pence / 100:.2f} back."
    assert_never(news)
