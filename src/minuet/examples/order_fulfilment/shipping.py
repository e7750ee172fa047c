"""Shipping: sends off what was paid and reserved."""

from minuet import Service, Transaction

from .events import OrderShipped, StockReserved

shipping = Service("shipping", owns=[OrderShipped])


@shipping.setup
async def tables(tx: Transaction) -> None:
    """Create the list of shipments. No key forbids a second one: a doubled parcel would be there to see."""
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS shipping_shipments (
            order_id TEXT NOT NULL, units BIGINT NOT NULL, pence BIGINT NOT NULL
        )""")


@shipping.reaction
async def ship(reserved: StockReserved, tx: Transaction) -> OrderShipped:
    """Hand the parcel to the carrier. An order without goods is complete with nothing to ship: 0 units."""
    await tx.execute(
        "INSERT INTO shipping_shipments VALUES (?, ?, ?)",
        (reserved.order_id, reserved.units, reserved.pence),
    )
    return OrderShipped(order_id=reserved.order_id, pence=reserved.pence, units=reserved.units)
