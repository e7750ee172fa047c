"""Where a lane's deliveries come from: the log in its own transaction, or a broker elsewhere and the inbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from minuet.errors import MinuetError, Rejected
from minuet.ports.broker import Delivery, JoinedSubscription
from minuet.ports.clock import Clock
from minuet.ports.observer import Point, Turn
from minuet.ports.store import ABSORBED, Unit
from minuet.runtime.observing import Observers
from minuet.runtime.reactor import Reactor
from minuet.runtime.reading import envelope_of

Identity = tuple[str, str]
"""An event's source and id."""


class Inlet(Protocol):
    """One reaction's stream of deliveries, taken as part of the transaction that records them."""

    async def ready(self) -> bool:
        """Whether there is anything to take. Never waits."""
        ...

    async def enter(self, unit: Unit) -> None:
        """Nobody else takes from the same stream until `unit` ends."""
        ...

    def take(self, unit: Unit, limit: int) -> Awaitable[Sequence[Delivery]]:
        """The next deliveries that the reaction has not had. Asked at once, answered when awaited."""
        ...


class JoinedInlet:
    """From a log in the store's own database: the position is the inbox, and the log knows what it holds.

    It knows by what stands beside the bytes. An event whose identity is only in them, from a publisher of another kind,
    is known by the inbox.
    """

    def __init__(self, subscription: JoinedSubscription, reactor: Reactor, clock: Clock, observers: Observers) -> None:
        self.ready = subscription.ready
        self.enter = subscription.enter
        self._subscription = subscription
        self._known = Known(reactor, clock, observers)

    def take(self, unit: Unit, limit: int) -> Awaitable[Sequence[Delivery]]:
        return self._unknown(unit, self._subscription.take(unit, limit))

    async def _unknown(self, unit: Unit, taking: Awaitable[Sequence[Delivery]]) -> Sequence[Delivery]:
        taken = await taking
        foreign = [delivery for delivery in taken if delivery.id is None or delivery.source is None]
        if not foreign:
            return taken
        fresh = {delivery.token for delivery in await self._known.unseen(unit, foreign)}
        gone = {delivery.token for delivery in foreign} - fresh
        return [delivery for delivery in taken if delivery.token not in gone]


class Known:
    """What the inbox knows of one reaction's deliveries."""

    def __init__(self, reactor: Reactor, clock: Clock, observers: Observers) -> None:
        self._reactor = reactor
        self._clock = clock
        self._observers = observers

    def unseen(self, unit: Unit, batch: Sequence[Delivery]) -> Awaitable[Sequence[Delivery]]:
        """Those that the reaction has not had; from now on it has. Asked at once, answered when awaited."""
        if self._reactor.guarantee == "at_least_once":
            return _all(batch)
        identities = [_identity(delivery) for delivery in batch]
        asked = list({identity: None for identity in identities if identity is not None})
        new = unit.inbox.remember(self._reactor.id, asked, self._clock.now()) if asked else None
        return self._fresh(unit, batch, identities, new)

    async def _fresh(
        self,
        unit: Unit,
        batch: Sequence[Delivery],
        identities: Sequence[Identity | None],
        remembered: Awaitable[set[Identity]] | None,
    ) -> Sequence[Delivery]:
        new = await remembered if remembered is not None else set[Identity]()
        fresh: list[Delivery] = []
        duplicates: list[Turn] = []
        for delivery, identity in zip(batch, identities, strict=True):
            if identity is None:
                fresh.append(delivery)
            elif identity in new:
                new.discard(identity)
                fresh.append(delivery)
            else:
                duplicates.append(
                    Turn(
                        reaction=self._reactor.id, place=self._reactor.place, topic=delivery.topic,
                        event_id=identity[1], key=delivery.key,
                    )
                )  # fmt: skip
        if duplicates:
            await unit.counters.add(self._reactor.service, ABSORBED, len(duplicates))
            if Point.DUPLICATE in self._observers.points:
                self._observers.at(Point.DUPLICATE, duplicates)
        return fresh


class InboxInlet:
    """From a broker elsewhere: the inbox tells what the reaction has had; the broker is told after the commit."""

    def __init__(self, reactor: Reactor, clock: Clock, observers: Observers, wake: Callable[[], None]) -> None:
        self._known = Known(reactor, clock, observers)
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
        self._waiting.clear()  # a round that is long over it has it too
        self._waiting = []

    async def ready(self) -> bool:
        return bool(self._waiting)

    async def enter(self, unit: Unit) -> None:
        """Lock nothing: the fence is the inbox, delivery by delivery.

        Around a rebalance two processes may have the same delivery. Both remember it; who does so second waits until
        the first one's unit has ended, and if that was committed finds it remembered. What no row of the inbox stands
        for may run in both: what a reaction takes at least once, and bytes that say no id.
        """

    def take(self, unit: Unit, limit: int) -> Awaitable[Sequence[Delivery]]:
        batch = self._waiting[:limit]
        if not batch:
            return _all(())

        waiting = self._waiting

        def committed() -> None:
            del waiting[: len(batch)]
            self._settled(batch)

        unit.after_commit(committed)
        return self._known.unseen(unit, batch)


async def _all(batch: Sequence[Delivery]) -> Sequence[Delivery]:
    return batch


def _nobody(deliveries: Sequence[Delivery]) -> None:  # noqa: ARG001  # stands in until bound
    raise MinuetError("An inlet was used before its feed was started.")


def _identity(delivery: Delivery) -> Identity | None:
    """Which event this is; None for bytes that say no id, which no inbox can know again."""
    if delivery.source is not None and delivery.id is not None:
        return (delivery.source, delivery.id)
    try:
        envelope = envelope_of(delivery)
    except Rejected:
        return None
    return (envelope.source, envelope.id)
