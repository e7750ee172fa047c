"""What a strict type checker refuses in a user's code. Checked by mypy and pyright, never executed.

Each line that ends in `# refused` must be reported by both, one that ends in `# refused by pyright` by that one
alone (mypy does not look at the keywords of a class whose metaclass takes them; declaration refuses them), and no
other line by either.
"""

from datetime import date

import minuet
from minuet import Context, Event, Service, Transaction, Workflow, Writes, retry


class OrderPlaced(Event, key="order_id"):
    """A customer committed to buy."""

    order_id: str
    total_pence: int


class Misdeclared(Event, version="2"):  # refused by pyright
    """A version is a number."""


class Miskept(Event, guarantee="exactly_once"):  # refused by pyright
    """A guarantee that nobody can give."""


orders = Service("orders", owns=[OrderPlaced])
placed = OrderPlaced(order_id="1", total_pence=5)

placed.order_id = "2"  # refused
OrderPlaced("1", 5)  # refused
OrderPlaced(order_id="1")  # refused
OrderPlaced(order_id="1", total_pence="5")  # refused
print(placed.nothing)  # refused
print(minuet.Conductor)  # refused

Service("orders", owns=OrderPlaced)  # refused
Workflow("order", starts=OrderPlaced)  # refused
Workflow("order", starts=OrderPlaced, ends="OrderShipped")  # refused
Workflow("order", starts=OrderPlaced, ends=OrderPlaced, within=date(2026, 1, 1))  # refused
retry(times="5")  # refused
Writes().execute("SELECT ?", 5)  # refused


def unasked() -> bool:
    """A predicate that is not told the event."""
    return True


@orders.reaction(retry=5)  # refused
async def a(order: OrderPlaced) -> None: ...


@orders.reaction(never="CardStolen")  # refused
async def b(order: OrderPlaced) -> None: ...


@orders.reaction(never=int)  # refused
async def c(order: OrderPlaced) -> None: ...


@orders.reaction(guarantee="exactly_once")  # refused
async def d(order: OrderPlaced) -> None: ...


@orders.reaction(when=unasked)  # refused
async def e(order: OrderPlaced) -> None: ...


@orders.reaction(concurency=5)  # refused
async def f(order: OrderPlaced) -> None: ...


@orders.setup  # refused
def g(tx: Transaction) -> None: ...


@orders.provides  # refused
def h(order: OrderPlaced) -> int:
    return order.total_pence


@orders.reaction
async def count(order: OrderPlaced, tx: Transaction, context: Context) -> None:
    """The result of a query has the type that was asked for, and the context is read only."""
    total: int = await tx.fetch_one(int, "SELECT 1")  # refused
    names: list[int] = await tx.fetch(str, "SELECT 1")  # refused
    context.attempt = total + len(names)  # refused
    await count(placed, tx)  # refused
    await orders.emit(placed, correlation=1)  # refused
    orders.emit_sync(placed)  # refused
    await orders.emit_sync(placed, tx=tx)  # refused
