"""A backlog of few keys before a reaction without a transaction: in order, and never all of it parked at once."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from minuet import App, Event, Service
from minuet.ports.observer import Point
from minuet.ports.store import ParkedFilter
from minuet.runtime import crowd
from minuet.service.options import CONCURRENCY
from minuet.testing.signals import Signals
from tests.acceptance.pairs import JOINED, Pair, pair
from tests.acceptance.postgres_pairs import POSTGRES, PostgresPair, postgres_pair
from tests.contract.servers import needs

EVENTS, KEYS, BOUND = 5000, 3, 400


class Stamped(Event, key="desk"):
    """A form was stamped."""

    desk: str
    number: int


@pytest.fixture(params=[JOINED, pytest.param(POSTGRES, marks=needs("postgres"))])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair | PostgresPair]:
    """One SQLite file, or a PostgreSQL database of the test's own."""
    if request.param == JOINED:
        yield pair(JOINED, tmp_path)
        return
    made = postgres_pair(POSTGRES)
    yield made
    made.dropped()


@pytest.mark.slow
async def test_a_backlog_of_few_keys_is_parked_in_parts(
    where: Pair | PostgresPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of events of three keys: each key in its order, and at no time more than the bound and a batch wait
    behind the first of each.
    """
    monkeypatch.setattr(crowd.Crowd.__init__, "__defaults__", (BOUND,))
    desks, office = Service("desks", owns=[Stamped]), Service("office")
    stamped, parked = defaultdict[str, list[int]](list), list[int]()
    signals = Signals({Point.COMMITTED})
    broker, store = where.adapters()

    @office.reaction
    async def stamp(event: Stamped) -> None:
        if event.number % 50 == 0:
            found = await store.parked(ParkedFilter(consumer="office.stamp", unsettled=True), EVENTS)
            parked.append(len(found))
        stamped[event.desk].append(event.number)

    app = App([desks, office], broker=broker, store=store, observers=[signals])
    async with app.connected():
        for start in range(0, EVENTS, 1000):
            numbers = range(start, start + 1000)
            await asyncio.gather(*(desks.emit(Stamped(desk=str(n % KEYS), number=n)) for n in numbers))
    async with app.running():
        await signals.reached(Point.COMMITTED, count=EVENTS)
    assert stamped == {str(key): list(range(key, EVENTS, KEYS)) for key in range(KEYS)}
    assert BOUND // 2 < max(parked) <= BOUND + CONCURRENCY + KEYS
