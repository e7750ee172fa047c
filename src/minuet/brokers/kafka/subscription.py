"""The subscriptions of one group in one process: they share one membership, and no two of them hold a key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from minuet.brokers.kafka.member import Member
from minuet.errors import BrokerClosed, BrokerUnavailable
from minuet.ports.broker import Delivery, Group


class Sharing:
    """One membership and who receives by it. The last who closes leaves the group."""

    def __init__(self, join: Callable[[Callable[[], None]], Member], group: Group) -> None:
        self.group = group
        self.subscriptions: list[KafkaSubscription] = []
        self.member = join(self.wake)

    def __repr__(self) -> str:
        return f"<Sharing of {self.group.name} by {len(self.subscriptions)}>"

    def goes_on(self, group: Group) -> bool:
        """Whether another subscription of this group may join in."""
        return bool(self.subscriptions) and self.member.failure is None and group == self.group

    def wake(self) -> None:
        """There may be something to receive."""
        for subscription in self.subscriptions:
            subscription.changed.set()

    def busy_for(self, asking: KafkaSubscription) -> Callable[[Delivery], bool] | None:
        """Which deliveries have a key that another subscription holds; None where there is no other."""
        if len(self.subscriptions) < 2:
            return None
        held = {
            (delivery.topic, delivery.key)
            for subscription in self.subscriptions
            if subscription is not asking
            for delivery in subscription.held.values()
            if delivery.key is not None
        }
        return lambda delivery: (delivery.topic, delivery.key) in held


class KafkaSubscription:
    """One stream of a group."""

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing
        self._closed = False
        self.held: dict[int, Delivery] = {}
        self.changed = asyncio.Event()
        sharing.subscriptions.append(self)

    def __repr__(self) -> str:
        return f"<KafkaSubscription {self._sharing.group.name}, {'closed' if self._closed else 'open'}>"

    async def receive(self, limit: int) -> Sequence[Delivery]:
        member = self._sharing.member
        while not self._closed:
            self.changed.clear()
            if member.failure is not None:
                raise BrokerUnavailable(str(member.failure))
            found = member.intake.take(limit, self._sharing.busy_for(self))
            if found:
                self.held.update([(delivery.token, delivery) for delivery in found])
                return found
            await self.changed.wait()
        raise BrokerClosed(f"The subscription of {self._sharing.group.name} is closed; nothing more will be received.")

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._sharing.member.intake.acknowledge(self._given_up(deliveries))
        self._let_others_look()

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        self._sharing.member.intake.release(self._given_up(deliveries))
        self._sharing.wake()

    def _given_up(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those of them that were held."""
        pop = self.held.pop
        return [delivery for delivery in deliveries if pop(delivery.token, None) is not None]

    def _let_others_look(self) -> None:
        if len(self._sharing.subscriptions) > 1:
            self._sharing.wake()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._sharing.subscriptions.remove(self)
        self._sharing.member.intake.release(self.held.values())
        self.held = {}
        self.changed.set()
        self._sharing.wake()
        if not self._sharing.subscriptions:
            await self._sharing.member.close()
