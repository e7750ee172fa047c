"""Events that name one topic: of a key they keep their order, and who takes one of them passes over the others."""

import asyncio
from pathlib import Path

import pytest

from minuet import App, Event, Service, StartupError, Transaction
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import DeadLetterFilter
from minuet.testing.signals import Signals
from tests.acceptance.pairs import KINDS, adapters, rows


class Opened(Event, key="account", topic="accounts"):
    """An account was opened."""

    account: str


class Credited(Event, key="account", topic="accounts"):
    """Money came in."""

    account: str
    pence: int


class Closed(Event, key="account", topic="accounts"):
    """An account was closed."""

    account: str


def bank() -> Service:
    """Writes down the whole life of an account, the credits by themselves, and the closing outside a transaction."""
    service = Service("bank", owns=[Opened, Credited, Closed])

    @service.setup
    async def tables(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS life (number INTEGER PRIMARY KEY, account TEXT, event TEXT)")
        await tx.execute("CREATE TABLE IF NOT EXISTS credits (account TEXT, pence INTEGER)")

    @service.reaction
    async def write(event: Opened | Credited | Closed, tx: Transaction) -> None:
        await tx.execute("INSERT INTO life (account, event) VALUES (?, ?)", (event.account, type(event).__name__))

    @service.reaction(when=lambda credited: credited.pence > 0)
    async def credit(credited: Credited, tx: Transaction) -> None:
        await tx.execute("INSERT INTO credits VALUES (?, ?)", (credited.account, credited.pence))

    @service.reaction
    async def farewell(closed: Closed) -> None:
        assert type(closed) is Closed

    return service


@pytest.mark.parametrize("kind", KINDS)
async def test_events_of_a_topic_keep_their_order_and_others_are_passed_over(kind: str, tmp_path: Path) -> None:
    """Of a key the types come as they were emitted; a reaction that takes one type is given no other, and none dies."""
    broker, store = adapters(kind, tmp_path)
    service, signals = bank(), Signals({Point.COMMITTED})
    accounts = [f"a{number}" for number in range(10)]
    async with App([service], broker=broker, store=store, observers=[signals]).running():
        for event in (Opened, Credited, Closed):
            more = {"pence": 5} if event is Credited else {}
            await asyncio.gather(*[service.emit(event(account=account, **more)) for account in accounts])
        await signals.reached(Point.COMMITTED, count=90, within="20s")
        assert await store.list_dead_letters(DeadLetterFilter()) == []
        lives = await rows(
            store, "SELECT account, group_concat(event) FROM (SELECT * FROM life ORDER BY number) GROUP BY 1"
        )
        assert lives == [(account, "Opened,Credited,Closed") for account in accounts]
        assert await rows(store, "SELECT count(*), sum(pence) FROM credits") == [(10, 50)]
    assert len(signals.passed(Point.COMMITTED, outcome=Outcome.SKIPPED)) == 40


async def test_a_topic_that_an_event_has_to_itself_is_not_shared(tmp_path: Path) -> None:
    """Who takes that event would meet strangers: refused before anything starts, with both places."""

    class Account(Event):
        """Has the topic of its name to itself."""

    class Renamed(Event, topic="Account"):
        """Wants in."""

    with pytest.raises(StartupError, match=r"names the topic 'Account', which Account.v1 \(.*\) has to itself"):
        App([Service("bank", owns=[Account, Renamed])], broker="memory://", store="memory://")
