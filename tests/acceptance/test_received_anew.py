"""A broker that fails again and again while a reaction takes its time: what it had handed out is received anew."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from minuet import App, Event, Service, Transaction
from minuet.brokers.memory import MemoryBroker
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Delivery, Group, Subscription
from minuet.ports.observer import Point
from minuet.service.options import CONCURRENCY
from minuet.stores.sqlite import SqliteStore
from minuet.testing.signals import Signals
from tests.acceptance.pairs import look

LETTERS, FAILURES = 500, 4


class Sent(Event, key="letter"):
    """A letter was sent."""

    letter: int


class Body(bytes):
    """The body of one delivery, counted as long as somebody holds it."""

    alive: ClassVar = 0

    def __new__(cls, body: bytes) -> Self:
        Body.alive += 1
        return super().__new__(cls, body)

    def __del__(self) -> None:
        Body.alive -= 1


class FailingBroker(MemoryBroker):
    """One service's subscriptions to it fail, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.received = 0
        self.gave_all, self.broken = asyncio.Event(), asyncio.Event()

    def subscribe(self, group: Group) -> "FailingSubscription":
        return FailingSubscription(self, super().subscribe(group))


class FailingSubscription:
    """Says when it has given everything, and is broken when the test says so."""

    def __init__(self, broker: FailingBroker, under: Subscription) -> None:
        self._broker = broker
        self._under = under

    def __getattr__(self, name: str):
        return getattr(self._under, name)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        broker = self._broker
        if broker.received == LETTERS:
            broker.gave_all.set()
            await broker.broken.wait()
            broker.broken.clear()
            broker.received = 0
            raise BrokerUnavailable("The test has broken it.")
        found = await self._under.receive(limit)
        broker.received += len(found)
        return [msgspec.structs.replace(delivery, body=Body(delivery.body)) for delivery in found]


async def test_what_was_received_before_is_not_kept_beside_what_comes_anew(tmp_path: Path) -> None:
    """However often it fails, a service holds one lot and what it is at work on; each is done once in the end."""
    broker, store = FailingBroker(), SqliteStore(str(tmp_path / "store.db"))
    signals, hurry = Signals({Point.COMMITTED}), asyncio.Event()
    outside, post = Service("outside", owns=[Sent]), Service("post")

    @post.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE letters (letter INTEGER)")

    @post.reaction
    async def deliver(sent: Sent, tx: Transaction) -> None:
        await hurry.wait()
        await tx.execute("INSERT INTO letters VALUES (?)", (sent.letter,))

    app = App([outside, post], broker=broker, store=store, observers=[signals])
    async with app.connected():
        for number in range(LETTERS):
            await outside.emit(Sent(letter=number))
    async with app.running():
        for _ in range(FAILURES):
            await broker.gave_all.wait()
            broker.gave_all.clear()
            broker.broken.set()
        await broker.gave_all.wait()
        alive = Body.alive
        hurry.set()
        await signals.reached(Point.COMMITTED, count=LETTERS)
    assert LETTERS <= alive <= LETTERS + CONCURRENCY
    assert look(tmp_path / "store.db", "SELECT count(*), count(DISTINCT letter) FROM letters") == [(LETTERS, LETTERS)]
