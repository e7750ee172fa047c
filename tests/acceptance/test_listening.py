"""Who listens to a database is forgotten when it has no more to hear."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from minuet import App, Event, Service
from minuet.brokers.postgres import PostgresBroker
from minuet.brokers.sqlite import SqliteBroker
from minuet.ports.broker import Group
from minuet.stores.sqlite import SqliteStore
from tests.acceptance.pairs import JOINED, SEPARATE, pair
from tests.acceptance.postgres_pairs import POSTGRES, postgres_pair
from tests.contract.servers import needs


class Rang(Event):
    """Somebody is at the door."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs("postgres"))])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteBroker | PostgresBroker]:
    """A broker in a database, not open."""
    if request.param == "sqlite":
        yield SqliteBroker(str(tmp_path / "broker.db"))
        return
    where = postgres_pair(POSTGRES)
    yield PostgresBroker.from_url(where.broker)
    where.dropped()


async def test_a_subscription_that_is_closed_hears_nothing(broker: SqliteBroker | PostgresBroker) -> None:
    """A service whose broker goes away subscribes anew each time: a hundred times later nobody more listens."""
    await broker.open()
    await broker.provision([group := Group("door", "door", ("Rang",))])
    for _ in range(100):
        subscription = broker.subscribe(group)
        assert len(broker.database.listeners) == 1
        await subscription.close()
        await subscription.close()
    assert len(broker.database.listeners) == 0
    await broker.close()


@pytest.mark.parametrize("which", [SEPARATE, JOINED])
async def test_an_app_that_has_stopped_hears_nothing(which: str, tmp_path: Path) -> None:
    """Adapters that one app after the other is given are left as they were."""
    broker, store = pair(which, tmp_path).adapters()
    assert isinstance(store, SqliteStore)
    door = Service("door", owns=[Rang])

    @door.reaction
    def open_it(rang: Rang) -> None: ...

    for _ in range(3):
        async with App([door], broker=broker, store=store, observers=()).running():
            await door.emit(Rang())
        assert (len(broker.database.listeners), len(store.database.listeners)) == (0, 0)
