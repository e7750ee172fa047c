"""Inventory: takes paid goods from the shelves, and puts returned ones back."""

from collections.abc import Iterable

from minuet import Service, Transaction

from .chance import is_short
from .events import Goods, GoodsReturned, PaymentCaptured, StockReserved, StockRestocked, StockShort
from .settings import Settings

inventory = Service("inventory", owns=[StockReserved, StockShort, StockRestocked])


class Shelves:
    """What really lies on the shelves, found by chance, and the same every time somebody looks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def missing(self, order_id: str, goods: tuple[Goods, ...]) -> tuple[str, ...]:
        """Return the stock codes that the order asks for and that are not there."""
        return tuple(item.stock_code for item in goods[:1] if is_short(self._settings, order_id))


@inventory.setup
async def tables(tx: Transaction) -> None:
    """Create the ledger of movements, and the list of decisions that led to them.

    Neither forbids a second entry: a doubled one would be there for the audit to see.
    """
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS inventory_decisions (
            reference TEXT NOT NULL, decision TEXT NOT NULL, units BIGINT NOT NULL
        )""")
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS inventory_movements (
            reference TEXT NOT NULL, stock_code TEXT NOT NULL, units BIGINT NOT NULL
        )""")


@inventory.provides
def shelves() -> Shelves:
    """Open the warehouse."""
    return Shelves(Settings.from_environment())


@inventory.reaction
async def reserve(paid: PaymentCaptured, tx: Transaction, shelves: Shelves) -> StockReserved | StockShort:
    """Take all goods of a paid order from the shelves, or none."""
    if missing := shelves.missing(paid.order_id, paid.goods):
        await decide(paid.order_id, "short", 0, tx)
        return StockShort(order_id=paid.order_id, missing=missing)
    units = sum(item.units for item in paid.goods)
    await decide(paid.order_id, "reserved", units, tx)
    await move(paid.order_id, ((item.stock_code, -item.units) for item in paid.goods), tx)
    return StockReserved(order_id=paid.order_id, pence=paid.pence, units=units)


@inventory.reaction
async def restock(back: GoodsReturned, tx: Transaction) -> StockRestocked | None:
    """Put returned goods back. A return of postage or of a fee brings none."""
    if not back.goods:
        return None
    units = sum(item.units for item in back.goods)
    await decide(back.return_id, "restocked", units, tx)
    await move(back.return_id, ((item.stock_code, item.units) for item in back.goods), tx)
    return StockRestocked(return_id=back.return_id, units=units)


async def decide(reference: str, decision: str, units: int, tx: Transaction) -> None:
    """Note what was decided about an order or a return."""
    await tx.execute("INSERT INTO inventory_decisions VALUES (?, ?, ?)", (reference, decision, units))


async def move(reference: str, movements: Iterable[tuple[str, int]], tx: Transaction) -> None:
    """Enter movements, each a stock code and its units: negative out of the shelves, positive back."""
    for stock_code, units in movements:
        await tx.execute("INSERT INTO inventory_movements VALUES (?, ?, ?)", (reference, stock_code, units))
