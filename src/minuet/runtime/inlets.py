"""Where a lane's deliveries come from: the log in its own transaction, or a broker elsewhere and the inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from minuet.errors import BrokerClosed, MinuetError, Rejected
from minuet.policies.retry import Retry
from minuet.ports.broker import Delivery, JoinedSubscription, Subscription
from minuet.ports.clock import Chance, Clock
from minuet.ports.observer import Point, Turn
from minuet.ports.store import Unit
from minuet.runtime.observing import Observers
from minuet.runtime.reactor import Reactor
from minuet.runtime.reading import envelope_of

RECONNECT = Retry(times=1_000_000, first_seconds=0.1, most_seconds=10.0)
"""How a broker that went away is asked again."""
OUTSTANDING = 1024
"""How many deliveries a service holds that are not acknowledged; the rest stays with the broker."""


class Inlet(Protocol):
    """One reaction's stream of deliveries, taken as part of the transaction that records them."""

    async def ready(self) -> bool:
        """Whether there is anything to take. Never waits."""
        ...

    async def take(self, unit: Unit, limit: int) -> Sequence[Delivery]:
        """The next deliveries that the reaction has not had."""
        ...


class JoinedInlet:
    """From a log in the store's own database: the position is the inbox."""

    def __init__(self, subscription: JoinedSubscription) -> None:
        self.ready = subscription.ready
        self.take = subscription.take


class InboxInlet:
    """From a broker elsewhere: the inbox tells what the reaction has had; the broker is told after the commit."""

    def __init__(self, reactor: Reactor, clock: Clock, observers: Observers, wake: Callable[[], None]) -> None:
        self._reactor = reactor
        self._clock = clock
        self._observers = observers
        self._waiting: list[Delivery] = []
        self._settled: Callable[[Sequence[Delivery]], None] = _nobody
        self.wake = wake
        self.topics = frozenset(reactor.topics)

    def bind(self, settled: Callable[[Sequence[Delivery]], None]) -> None:
        """Whom to tell once deliveries are recorded durably."""
        self._settled = settled

    def offer(self, deliveries: Sequence[Delivery]) -> None:
        self._waiting.extend(deliveries)
        self.wake()

    def forget(self) -> None:
        """The subscription is gone: what waits will be received anew."""
        self._waiting = []

    async def ready(self) -> bool:
        return bool(self._waiting)

    async def take(self, unit: Unit, limit: int) -> Sequence[Delivery]:
        batch = self._waiting[:limit]
        if not batch:
            return ()

        waiting = self._waiting

        def committed() -> None:
            del waiting[: len(batch)]
            self._settled(batch)

        unit.after_commit(committed)
        if self._reactor.guarantee == "at_least_once":
            return batch
        return await self._unseen(unit, batch)

    async def _unseen(self, unit: Unit, batch: Sequence[Delivery]) -> list[Delivery]:
        identities = [_identity(delivery) for delivery in batch]
        known = [identity for identity in identities if identity is not None]
        seen = await unit.inbox.seen(self._reactor.id, known) if known else set[tuple[str, str]]()
        fresh: list[Delivery] = []
        duplicates: list[Turn] = []
        remembered: list[tuple[str, str]] = []
        for delivery, identity in zip(batch, identities, strict=True):
            if identity is None:
                fresh.append(delivery)
            elif identity in seen:
                duplicates.append(
                    Turn(
                        reaction=self._reactor.id, place=self._reactor.place, topic=delivery.topic,
                        event_id=identity[1], key=delivery.key,
                    )
                )  # fmt: skip
            else:
                seen.add(identity)
                remembered.append(identity)
                fresh.append(delivery)
        if remembered:
            await unit.inbox.remember(self._reactor.id, remembered, self._clock.now())
        if duplicates:
            await unit.counters.add(self._reactor.service, "duplicates_absorbed", len(duplicates))
            if Point.DUPLICATE in self._observers.points:
                self._observers.at(Point.DUPLICATE, duplicates)
        return fresh


def _nobody(deliveries: Sequence[Delivery]) -> None:  # noqa: ARG001  # stands in until bound
    raise MinuetError("An inlet was used before its feed was started.")


def _identity(delivery: Delivery) -> tuple[str, str] | None:
    """Which event this is; None for bytes that say no id, which no inbox can know again."""
    if delivery.source is not None and delivery.id is not None:
        return (delivery.source, delivery.id)
    try:
        envelope = envelope_of(delivery)
    except Rejected:
        return None
    return (envelope.source, envelope.id)


class Feed:
    """One service's subscription, fanned out to its reactions; acknowledged when each of them has recorded it."""

    def __init__(
        self,
        name: str,
        subscribe: Callable[[], Subscription],
        inlets: Sequence[InboxInlet],
        chance: Chance,
        observers: Observers,
    ) -> None:
        self._name = name
        self._subscribe = subscribe
        self._inlets = tuple(inlets)
        self._chance = chance
        self._observers = observers
        self._open: dict[int, tuple[Delivery, int]] = {}
        """By the delivery's identity, for each that this subscription has open: how many reactions have yet to record
        it. What an earlier subscription received is not among them, even under the same token."""
        self._done: list[Delivery] = []
        self._changed = asyncio.Event()
        self._stopping = False
        for inlet in inlets:
            inlet.bind(self._settled)

    def __repr__(self) -> str:
        return f"<Feed {self._name}, {len(self._open)} outstanding>"

    async def run(self) -> None:
        """Receive and acknowledge until stopped; a broker that goes away is asked again, later each time."""
        failures = 0
        while not self._stopping:
            subscription = self._subscribe()
            try:
                await self._pump(subscription)
                failures = 0
            except BrokerClosed:
                return
            except Exception as error:  # whatever a client library raises: the feed must outlive it
                failures += 1
                self._observers.trouble(f"receiving for {self._name}", error)
                await asyncio.sleep(RECONNECT.delay(failures + 1, self._chance.random()) or 0.0)
            finally:
                self._open.clear()
                self._done.clear()
                for inlet in self._inlets:
                    inlet.forget()
                await self._close(subscription)

    async def _close(self, subscription: Subscription) -> None:
        try:
            await subscription.close()
        except Exception as error:  # it is given up either way
            self._observers.trouble(f"closing the subscription of {self._name}", error)

    def stop(self) -> None:
        """Receive no more. What was recorded is still acknowledged."""
        self._stopping = True
        self._changed.set()

    async def _pump(self, subscription: Subscription) -> None:
        receiving: asyncio.Task[Sequence[Delivery]] | None = None
        try:
            while not (self._stopping and not self._done):
                self._changed.clear()
                if self._done:
                    await self._acknowledge(subscription)
                if receiving is None and not self._stopping and len(self._open) < OUTSTANDING:
                    receiving = asyncio.ensure_future(subscription.receive(OUTSTANDING - len(self._open)))
                    receiving.add_done_callback(lambda _: self._changed.set())
                await self._changed.wait()
                if receiving is not None and receiving.done():
                    self._hand_out(receiving.result())
                    receiving = None
        finally:
            if receiving is not None:
                receiving.cancel()

    async def _acknowledge(self, subscription: Subscription) -> None:
        done, self._done = self._done, []
        await subscription.acknowledge(done)
        if Point.ACKNOWLEDGED in self._observers.points:
            self._observers.at(
                Point.ACKNOWLEDGED,
                [Turn(reaction=self._name, place="", topic=d.topic, event_id=d.id, key=d.key) for d in done],
            )

    def _hand_out(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            reactions = sum(delivery.topic in inlet.topics for inlet in self._inlets)
            self._open[id(delivery)] = (delivery, reactions)
        for inlet in self._inlets:
            if offered := [delivery for delivery in deliveries if delivery.topic in inlet.topics]:
                inlet.offer(offered)

    def _settled(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            _, left = self._open.pop(id(delivery), (delivery, 0))
            if left > 1:
                self._open[id(delivery)] = (delivery, left - 1)
            elif left == 1:
                self._done.append(delivery)
        self._changed.set()
