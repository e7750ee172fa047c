"""Reactions called alone, with what tests give them."""

import asyncio

from minuet import Context, Event, Service, Transaction
from minuet.testing.alone import context, transaction


class OrderPlaced(Event):
    """A customer committed to buy."""

    order_id: str


payments = Service("payments")


@payments.setup
async def charges(tx: Transaction) -> None:
    await tx.execute("CREATE TABLE charges (order_id TEXT, attempt INTEGER)")


@payments.reaction
async def charge(order: OrderPlaced, tx: Transaction, context: Context) -> None:
    await tx.execute("INSERT INTO charges VALUES (?, ?)", (order.order_id, context.attempt))


def test_a_transaction_finds_the_tables_of_its_services() -> None:
    """What the services' setups made is there, and what the reaction wrote can be read."""

    async def body() -> list[str]:
        async with transaction(payments) as tx:
            await charge(OrderPlaced(order_id="1"), tx, context(attempt=2))
            return await tx.fetch(str, "SELECT order_id || ' at attempt ' || attempt FROM charges")

    assert asyncio.run(body()) == ["1 at attempt 2"]


def test_two_transactions_know_nothing_of_each_other() -> None:
    """Each has a store of its own, which ends with it."""

    async def body() -> list[str]:
        async with transaction(payments) as tx:
            await charge(OrderPlaced(order_id="1"), tx, context())
        async with transaction(payments) as tx:
            return await tx.fetch(str, "SELECT order_id FROM charges")

    assert asyncio.run(body()) == []


def test_a_context_is_that_of_a_first_attempt() -> None:
    """Only what a test is about has to be said."""
    assert (context().attempt, context(attempt=3).attempt, context(key="1").key) == (1, 3, "1")
