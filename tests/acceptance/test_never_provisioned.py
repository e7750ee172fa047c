"""A group that nobody provisioned is told of in prose, with what to do."""

from pathlib import Path

import pytest

from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Group
from tests.acceptance.pairs import JOINED, SEPARATE, pair
from tests.acceptance.postgres_pairs import POSTGRES, postgres_pair
from tests.contract.servers import needs

GROUP = Group("books.enter", "books", ("Sold",))
SAID = r"does not know the group books\.enter: it was never provisioned.*`minuet run --provision`.*provision\(\) first"


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=needs("postgres"))])
async def test_a_subscription_says_so(kind: str, tmp_path: Path) -> None:
    """With the store elsewhere."""
    where = pair(SEPARATE, tmp_path) if kind == "sqlite" else postgres_pair(POSTGRES)
    broker, _ = where.adapters()
    await broker.open()
    with pytest.raises(BrokerUnavailable, match=SAID):
        await broker.subscribe(GROUP).receive(1)
    await broker.close()
    where.dropped()


async def test_a_joined_subscription_on_sqlite_says_so(tmp_path: Path) -> None:
    """When it looks whether there is something, and when it takes."""
    broker, store = pair(JOINED, tmp_path).adapters()
    joined = broker.joined(store)
    assert joined is not None
    await store.open()
    await broker.open()
    subscription = joined.subscribe(GROUP, lambda: None)
    with pytest.raises(BrokerUnavailable, match=SAID):
        await subscription.ready()
    with pytest.raises(BrokerUnavailable, match=SAID):
        async with store.transaction() as unit:
            await subscription.take(unit, 1)
    await broker.close()
    await store.close()
