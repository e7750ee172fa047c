"""A shop whose payments meet every fate, with append-only books in which a doubled effect would show twice."""

import asyncio
from collections.abc import Sequence

import msgspec

from minuet import App, Context, Event, Service, Transaction, Writes, retry
from minuet.ports.observer import Observer, Outcome, Point
from minuet.testing.crash import Crash
from tests.acceptance.forked import Parent
from tests.acceptance.pairs import Pair
from tests.acceptance.postgres_pairs import PostgresPair

TRANSACTIONAL, CONCURRENT = "transactional", "concurrent"
FATES = ("handled", "emitted", "skipped", "retry", "dead")
"""How a payment can end: each `Outcome`, and `emitted`, which is handled with an event of its own."""
OUTCOMES = {"handled": Outcome.HANDLED, "emitted": Outcome.HANDLED, "skipped": Outcome.SKIPPED,
            "retry": Outcome.RETRY, "dead": Outcome.DEAD}  # fmt: skip
SETTLING_ATTEMPT = 3
"""The attempt at which a payment whose fate is retry succeeds."""
CONSUMER = "payments.charge"


class Ordered(Event, key="order"):
    """Somebody wants to pay."""

    order: str
    fate: str


class Charged(Event, key="order"):
    """The payment went through."""

    order: str


class Stolen(Exception):
    """The card is stolen, and will be tomorrow."""


class Case(msgspec.Struct, frozen=True):
    """What one process of a crash test runs: where, with which lane, and where it dies."""

    pair: Pair | PostgresPair
    lane: str
    concurrency: int = 100


def wanted(order: Ordered) -> bool:
    return order.fate != "skipped"


def decide(order: Ordered, attempt: int) -> Charged | None:
    """What becomes of a payment; called after its row is written, so that a failing attempt has one to take back."""
    if order.fate == "dead":
        raise Stolen(order.order)
    if order.fate == "retry" and attempt < SETTLING_ATTEMPT:
        raise TimeoutError(f"attempt {attempt}")
    return Charged(order=order.order) if order.fate == "emitted" else None


def services(lane: str, concurrency: int) -> tuple[Service, Service]:
    """Payments, with its reaction in the lane asked for, and receipts, which reacts to what payments emits."""
    payments = Service("payments", owns=[Ordered, Charged])
    receipts = Service("receipts")

    @payments.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS charges (order_id TEXT, fate TEXT, attempt INTEGER)")
        await tx.execute("CREATE TABLE IF NOT EXISTS receipts (order_id TEXT)")

    insert = "INSERT INTO charges VALUES (?, ?, ?)"
    keywords = {"retry": retry(times=5, first="1ms", most="1ms"), "never": Stolen, "when": wanted}
    if lane == TRANSACTIONAL:

        @payments.reaction(**keywords)
        async def charge(order: Ordered, tx: Transaction, context: Context) -> Charged | None:
            await tx.execute(insert, (order.order, order.fate, context.attempt))
            return decide(order, context.attempt)

    else:

        @payments.reaction(**keywords, concurrency=concurrency)
        async def charge(order: Ordered, writes: Writes, context: Context) -> Charged | None:
            writes.execute(insert, (order.order, order.fate, context.attempt))
            await asyncio.sleep(0)
            return decide(order, context.attempt)

    @receipts.reaction
    async def write(charged: Charged, tx: Transaction) -> None:
        await tx.execute("INSERT INTO receipts VALUES (?)", (charged.order,))

    return payments, receipts


async def order(pair: Pair | PostgresPair, orders: Sequence[tuple[str, str]]) -> None:
    """Emit an order of each (key, fate), in this order; nobody reacts yet. Groups and tables are there afterwards."""
    payments, receipts = services(TRANSACTIONAL, 1)
    app = App([payments, receipts], **pair.urls(), observers=())
    async with app.connected():
        for number, (key, fate) in enumerate(orders):
            await payments.emit(Ordered(order=key, fate=fate), id=f"order-{number}")


async def work(parent: Parent, case: Case, observers: Sequence[Observer]) -> None:
    """A worker process: react until nothing is left to do, or until an observer kills it."""
    broker, store = case.pair.adapters()
    app = App(services(case.lane, case.concurrency), broker=broker, store=store, observers=observers)
    async with app.running():
        await case.pair.worked_off(app)


def crash_at(point: Point, fate: str, key: str, count: int = 1) -> Crash:
    """A crash when the order of this key, which meets this fate, is at the point for the `count`-th time."""
    match point:
        case Point.PUBLISHED:
            return Crash(point, topic="Charged", key=key, count=count)
        case Point.ACKNOWLEDGED | Point.DUPLICATE | Point.RECEIVED | Point.DECODED | Point.BEHIND:
            return Crash(point, reaction=CONSUMER, key=key, count=count)
        case _:
            return Crash(point, reaction=CONSUMER, key=key, outcome=OUTCOMES[fate], count=count)
