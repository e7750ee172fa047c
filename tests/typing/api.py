"""The public interface as a user's strict type checker sees it. Checked by mypy and pyright, never executed.

A realistic module of a shop: no cast, no ignore, no annotation that is there for a checker alone. Every
`assert_type` pins something that a user relies on.
"""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import UnionType
from typing import Protocol, TypedDict, assert_type

import msgspec
from pydantic import BaseModel

from minuet import (
    NEVER,
    App,
    Context,
    Deprecated,
    Event,
    MinuetError,
    Rejected,
    Retry,
    Service,
    StartupError,
    Transaction,
    Workflow,
    Writes,
    contract,
    retry,
)

# -- Contracts


class Line(msgspec.Struct, frozen=True):
    """A part of an event is a plain value."""

    sku: str
    quantity: int


class OrderPlaced(Event, version=2, key="order_id", owner="sales", consumers=("payments",)):
    """A customer committed to buy. Nothing is charged or reserved yet."""

    order_id: str
    lines: list[Line]
    total_pence: int
    placed_at: datetime | None = None
    tags: tuple[str, ...] = ()
    note: str = msgspec.field(default="", name="remark")


@OrderPlaced.upcaster(1)
def with_lines(payload: dict[str, object]) -> dict[str, object]:
    """Version 1 had no lines."""
    return payload | {"lines": [{"sku": "unknown", "quantity": 1}]}


class PaymentCaptured(Event, key="order_id", guarantee="effectively_once", on_dead_letter="hold"):
    """The money is ours."""

    order_id: str
    pence: int


class PaymentDeclined(Event, key="order_id", name="shop.PaymentDeclined"):
    """The bank said no."""

    order_id: str


class LabelPrinted(Event, deprecated=Deprecated(since="2026-01-31", use="OrderShipped")):
    """A parcel has its label."""

    order_id: str
    number: int = 1


class OrderShipped(Event, key="order_id"):
    """The parcel is on its way."""

    order_id: str


@contract(version=1, key="order_id", guarantee="at_least_once")
@dataclass(frozen=True)
class RefundRequested:
    """A payload class of the user's own keeps its type and its constructor."""

    order_id: str
    pence: int = 0


@contract(key="address")
class Subscribed(BaseModel):
    """So does a pydantic model that a web framework reads as well."""

    address: str


placed = OrderPlaced(order_id="1", lines=[Line("tea", 2)], total_pence=500)
assert_type(placed, OrderPlaced)
assert_type(placed.order_id, str)
assert_type(placed.lines, list[Line])
assert_type(placed.placed_at, datetime | None)
assert_type(placed.tags, tuple[str, ...])
assert_type(Subscribed(address="a@b.example").address, str)
assert_type(RefundRequested("1"), RefundRequested)
assert_type(RefundRequested(order_id="1").pence, int)
assert_type(with_lines({}), dict[str, object])


def keys(event: PaymentCaptured | PaymentDeclined) -> str:
    """A union of events is narrowed like any other."""
    match event:
        case PaymentCaptured(order_id=order_id):
            return order_id
        case PaymentDeclined():
            assert_type(event, PaymentDeclined)
            return event.order_id


# -- Services and their reactions


class CardStolen(Exception):
    """No retry can heal it."""


class Bank(Protocol):
    """What payments calls outside."""

    async def charge(self, pence: int, idempotency_key: str) -> bool:
        """True if the money moved."""
        ...


class SandboxBank:
    """A bank that always pays."""

    async def charge(self, pence: int, idempotency_key: str) -> bool:
        """Whether the amount is positive."""
        return pence > 0 and idempotency_key != ""


class Charge(msgspec.Struct):
    """A row of payments' table."""

    order_id: str
    pence: int


@dataclass
class Refund:
    """A row may be a dataclass as well."""

    order_id: str


class Total(TypedDict):
    """A row may be a TypedDict as well."""

    pence: int


orders = Service("orders", owns=[OrderPlaced, RefundRequested])
payments = Service("payments", owns=[PaymentCaptured, PaymentDeclined])
shipping = Service("shipping", owns=(OrderShipped, LabelPrinted))
mail = Service("mail")

assert_type(payments.name, str)


@payments.setup
async def tables(tx: Transaction) -> None:
    """Make the table."""
    await tx.execute("CREATE TABLE IF NOT EXISTS charges (order_id TEXT PRIMARY KEY, pence INTEGER)")


@payments.provides
def bank() -> Bank:
    """A plain function provides what it returns."""
    return SandboxBank()


@payments.provides
async def ledger() -> dict[str, int]:
    """So does an async one."""
    return {}


@shipping.provides
def connection() -> Iterator[sqlite3.Connection]:
    """A generator is closed when the service stops."""
    opened = sqlite3.connect(":memory:")
    yield opened
    opened.close()


@shipping.provides
async def printer() -> AsyncIterator[SandboxBank]:
    """An async generator too."""
    yield SandboxBank()


def large(order: OrderPlaced) -> bool:
    """A predicate of the event."""
    return order.total_pence > 10_000


@payments.reaction(
    retry=retry(times=5, first="1s", most=timedelta(minutes=1)),
    never=CardStolen,
    guarantee="effectively_once",
    when=large,
    concurrency=10,
    on_dead_letter="hold",
)
async def charge(order: OrderPlaced, writes: Writes, bank: Bank, context: Context) -> PaymentCaptured | PaymentDeclined:
    """One of two events, with rows that wait for the recording transaction."""
    assert_type(context.attempt, int)
    assert_type(context.key, str | None)
    assert_type(context.causation_id, str | None)
    assert_type(context.time, datetime | None)
    if not await bank.charge(order.total_pence, context.idempotency_key):
        return PaymentDeclined(order_id=order.order_id)
    writes.execute("INSERT INTO charges VALUES (?, ?)", (order.order_id, order.total_pence))
    writes.execute("INSERT INTO charges VALUES (:id, :pence)", {"id": order.order_id, "pence": 5})
    return PaymentCaptured(order_id=order.order_id, pence=order.total_pence)


@payments.reaction
async def refund(request: RefundRequested, tx: Transaction) -> PaymentCaptured | None:
    """An event perhaps, with rows that are typed without a cast."""
    changed = await tx.execute("UPDATE charges SET pence = 0 WHERE order_id = ?", [request.order_id])
    assert_type(changed, int)
    assert_type(await tx.fetch(str, "SELECT order_id FROM charges"), list[str])
    assert_type(await tx.fetch(Charge, "SELECT * FROM charges"), list[Charge])
    assert_type(await tx.fetch(Total, "SELECT sum(pence) AS pence FROM charges"), list[Total])
    assert_type(await tx.fetch_one(Refund, "SELECT order_id FROM charges"), Refund | None)
    pence = await tx.fetch_one(int, "SELECT pence FROM charges WHERE order_id = :id", {"id": request.order_id})
    assert_type(pence, int | None)
    return PaymentCaptured(order_id=request.order_id, pence=pence or 0) if changed else None


@shipping.reaction(retry=NEVER, never=(CardStolen, ValueError))
async def ship(paid: PaymentCaptured) -> tuple[LabelPrinted, OrderShipped]:
    """Both events."""
    return LabelPrinted(order_id=paid.order_id), OrderShipped(order_id=paid.order_id)


@shipping.reaction(when=lambda declined: declined.order_id != "")
def forget(declined: PaymentDeclined, database: sqlite3.Connection) -> None:
    """A sync reaction with a native connection, and a predicate written on the spot."""
    database.execute("DELETE FROM parcels WHERE order_id = ?", (declined.order_id,))


@shipping.reaction()
async def relabel(either: OrderShipped | LabelPrinted) -> list[LabelPrinted | OrderShipped]:
    """As many events as there are, from either of two."""
    return [LabelPrinted(order_id=either.order_id, number=number) for number in range(2)]


@mail.reaction
async def welcome(subscribed: Subscribed) -> None:
    """Nothing is emitted."""
    print(subscribed.address)


@mail.reaction
async def remind(order: OrderPlaced) -> AsyncIterator[LabelPrinted | OrderShipped]:
    """A stream of events."""
    for line in order.lines:
        yield LabelPrinted(order_id=line.sku)


# -- Decorators return the function as it was


async def test_the_functions_are_what_they_were(tx: Transaction, context: Context) -> None:
    """A reaction is called in a unit test as the plain function that it is."""
    assert_type(await charge(placed, Writes(), SandboxBank(), context), PaymentCaptured | PaymentDeclined)
    assert_type(await refund(RefundRequested("1"), tx), PaymentCaptured | None)
    assert_type(await ship(PaymentCaptured(order_id="1", pence=5)), tuple[LabelPrinted, OrderShipped])
    assert_type(forget(PaymentDeclined(order_id="1"), sqlite3.connect(":memory:")), None)
    assert_type(
        await relabel(OrderShipped(order_id="1")),
        list[LabelPrinted | OrderShipped],
    )
    assert_type(remind(placed), AsyncIterator[LabelPrinted | OrderShipped])
    assert_type(bank(), Bank)
    assert_type(await ledger(), dict[str, int])
    assert_type(connection(), Iterator[sqlite3.Connection])
    assert_type(printer(), AsyncIterator[SandboxBank])
    await tables(tx)


pinned: Callable[[PaymentCaptured], Awaitable[tuple[LabelPrinted, OrderShipped]]] = ship

# -- Composition

policy = retry(times=3, first="500ms", most=60)
assert_type(policy, Retry)
assert_type(policy.delay(2, 0.5), float | None)

ends: type[OrderShipped] | UnionType = OrderShipped | PaymentDeclined
flow = Workflow("order", starts=OrderPlaced, ends=OrderShipped | PaymentDeclined, within="1h")
returns = Workflow("returns", starts=RefundRequested, ends=PaymentCaptured, within=timedelta(days=7))

app = App(
    [orders, payments, shipping, mail],
    workflows=[flow, returns],
    broker="sqlite:///shop.db",
    store="sqlite:///shop.db",
)


async def main() -> None:
    """A web process, a script and a service."""
    async with app.connected():
        event_id = await orders.emit(placed)
        assert_type(event_id, str)
        with sqlite3.connect("shop.db") as database:
            await orders.emit(placed, tx=database, id="7", correlation_id="c", traceparent="00-1-1-01")
    async with app.running() as running:
        assert_type(running, App)
    try:
        app.run()
    except StartupError as error:
        assert_type(error, StartupError)
    except Rejected as rejected:
        assert_type(rejected.reason, str)
    except MinuetError as other:
        print(other)


def statements(writes: Writes) -> list[str]:
    """What a test looks at after it called a reaction."""
    return [sql for sql, _ in writes.statements]
