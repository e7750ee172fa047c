"""Who listens to a database is forgotten when it has no more to hear."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from minuet import App, Event, Service, Transaction
from minuet.brokers.postgres import PostgresBroker
from minuet.brokers.sqlite import SqliteBroker
from minuet.ports.broker import Group, Message
from minuet.ports.observer import Point
from minuet.stores.sqlite import SqliteStore
from minuet.testing.signals import Signals
from tests.acceptance.pairs import JOINED, MEMORY, SEPARATE, adapters, pair
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


@pytest.mark.parametrize("which", [MEMORY, SEPARATE, JOINED, pytest.param(POSTGRES, marks=needs("postgres"))])
async def test_what_the_app_s_own_broker_is_given_is_heard(which: str, tmp_path: Path) -> None:
    """Bytes published beside the services, while nothing is to do: their reactions run without waiting for more."""
    where = postgres_pair(which) if which == POSTGRES else None
    broker, store = where.adapters() if where is not None else adapters(which, tmp_path)
    door, signals = Service("door", owns=[Rang]), Signals({Point.COMMITTED})

    @door.reaction
    async def open_it(rang: Rang, tx: Transaction) -> None: ...

    async with App([door], broker=broker, store=store, observers=[signals]).running() as app:
        await door.emit(Rang())
        await app.settled()
        body = '{"specversion":"1.0","id":"1","source":"/elsewhere","type":"Rang.v1","data":{}}'
        await broker.publish([Message("Rang", None, "1", "/elsewhere", None, body)])
        await signals.reached(Point.COMMITTED, count=2, within="5s")
    if where is not None:
        where.dropped()
