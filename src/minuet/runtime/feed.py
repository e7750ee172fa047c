"""From a broker elsewhere into the inlets of one service: received, handed out, acknowledged once it is recorded."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from minuet.errors import BrokerClosed
from minuet.policies.retry import Retry
from minuet.ports.broker import Delivery, Subscription, size_bytes_of
from minuet.ports.clock import Chance
from minuet.ports.observer import Point, Turn
from minuet.runtime.inlets import InboxInlet
from minuet.runtime.observing import Observers

RECONNECT = Retry(times=1_000_000, first_seconds=0.1, most_seconds=10.0)
"""How a broker that went away is asked again."""
OUTSTANDING = 1024
"""How many deliveries a service holds that are not acknowledged; the rest stays with the broker."""
OUTSTANDING_BYTES = 32 * 1024 * 1024
"""How much their bodies come to, give or take what their sizes differ."""
FIRST_BYTES = 256 * 1024
"""What a body is taken for before one has come."""


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
        self._readers = {
            topic: tuple(inlet for inlet in inlets if topic in inlet.topics)
            for topic in frozenset[str]().union(*(inlet.topics for inlet in inlets))
        }
        """By its topic, who takes a delivery."""
        self._chance = chance
        self._observers = observers
        self._open: dict[int, tuple[Delivery, int]] = {}
        """By the delivery's identity, for each that this subscription has open: how many reactions have yet to record
        it. What an earlier subscription received is not among them, even under the same token."""
        self._open_bytes = 0
        self._usual_bytes = FIRST_BYTES
        self._done: list[Delivery] = []
        self._changed = asyncio.Event()
        self._stopping = False
        self._failures = 0
        """How often in a row it had to begin anew and received nothing."""
        for inlet in inlets:
            inlet.bind(self._settled)

    def __repr__(self) -> str:
        return f"<Feed {self._name}, {len(self._open)} outstanding>"

    async def run(self) -> None:
        """Receive and acknowledge until stopped; a broker that goes away is asked again, later each time."""
        while not self._stopping:
            subscription, pause_seconds = self._subscribe(), 0.0
            try:
                await self._pump(subscription)
            except BrokerClosed:
                return
            except Exception as error:  # whatever a client library raises: the feed must outlive it
                self._failures += 1
                pause_seconds = RECONNECT.delay(self._failures + 1, self._chance.random()) or 0.0
                self._observers.trouble(f"receiving for {self._name}", error)
            finally:
                self._open.clear()
                self._open_bytes = 0
                self._done.clear()
                for inlet in self._inlets:
                    inlet.forget()
                await self._close(subscription)
            if pause_seconds:  # when what it held is with others already
                await asyncio.sleep(pause_seconds)

    async def _close(self, subscription: Subscription) -> None:
        try:
            await subscription.close()
        except Exception as error:  # it is given up either way
            then = "What it received and had not acknowledged comes again"
            self._observers.left(f"closing the subscription of {self._name}", error, then)

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
                limit = room(len(self._open), self._open_bytes, self._usual_bytes)
                if receiving is None and not self._stopping and limit:
                    receiving = asyncio.ensure_future(subscription.receive(limit))
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
        self._failures = 0
        offered = defaultdict[InboxInlet, list[Delivery]](list)
        for delivery in deliveries:
            readers = self._readers.get(delivery.topic, ())
            self._open[id(delivery)] = (delivery, len(readers))
            for inlet in readers:
                offered[inlet].append(delivery)
        came_bytes = sum(size_bytes_of(delivery.body) for delivery in deliveries)
        self._open_bytes += came_bytes
        self._usual_bytes = came_bytes // len(deliveries) if deliveries else FIRST_BYTES
        for inlet, theirs in offered.items():
            inlet.offer(theirs)

    def _settled(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            _, left = self._open.pop(id(delivery), (delivery, 0))
            if left > 1:
                self._open[id(delivery)] = (delivery, left - 1)
            elif left == 1:
                self._open_bytes -= size_bytes_of(delivery.body)
                self._done.append(delivery)
        self._changed.set()


def room(held: int, held_bytes: int, usual_bytes: int) -> int:
    """How many more deliveries fit beside those that are held, if they are as large as usual; one always, alone."""
    left = (OUTSTANDING_BYTES - held_bytes) // max(1, usual_bytes)
    return max(0 if held else 1, min(OUTSTANDING - held, left))
