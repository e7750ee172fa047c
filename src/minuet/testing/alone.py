"""What a reaction takes when it is called alone, as the plain function that it is: a transaction, a context."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

from minuet.service.context import Context, Transaction
from minuet.service.service import Service
from minuet.stores.sqlite import MemoryStore


@asynccontextmanager
async def transaction(*services: Service) -> AsyncGenerator[Transaction]:
    """A transaction on an empty store of its own, in which the tables of these services are set up.

    ```python
    async with transaction(payments) as tx:
        paid = await charge(OrderPlaced(order_id="1", pence=5), tx)
        assert await tx.fetch_one(int, "SELECT pence FROM charges") == 5
    ```

    Nothing outlives it. Raises whatever a setup raises.
    """
    store = MemoryStore.from_url("memory://")
    await store.open()
    try:
        async with store.transaction() as unit:
            for service in services:
                for setup in service.setups:
                    await setup.function(unit.transaction)
            yield unit.transaction
    finally:
        await store.close()


def context(
    *,
    service: str = "service",
    reaction: str = "reaction",
    event_id: str = "event",
    correlation_id: str = "instance",
    causation_id: str | None = None,
    key: str | None = None,
    attempt: int = 1,
    time: datetime | None = None,
    idempotency_key: str = "idempotency-key",
) -> Context:
    """The context of a first attempt; say what the reaction looks at."""
    return Context(
        service=service,
        reaction=reaction,
        event_id=event_id,
        correlation_id=correlation_id,
        causation_id=causation_id,
        key=key,
        attempt=attempt,
        time=time,
        idempotency_key=idempotency_key,
    )
