"""Brokers whose subscriptions lie in one way each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from minuet.errors import BrokerClosed
from minuet.ports.broker import Broker, Delivery, Group, Message
from minuet.testing.saboteurs.honest import HonestMemoryBroker
from minuet.testing.saboteurs.lying import Lying, LyingBroker


class _Eager(Lying):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        found: Sequence[Delivery] = await self.honest.receive(limit)
        await self.honest.acknowledge(found)
        return found


class _EagerBroker(LyingBroker):
    subscription = _Eager


class AcknowledgesOnReceive(HonestMemoryBroker):
    """What it hands out it takes for handled."""

    caught_by, lie = "B02", _EagerBroker


class _Forgetful(Lying):
    async def release(self, deliveries: Sequence[Delivery]) -> None:
        del deliveries


class _ForgetfulBroker(LyingBroker):
    subscription = _Forgetful


class ForgetsRelease(HonestMemoryBroker):
    """What is given back never comes again."""

    caught_by, lie = "B02", _ForgetfulBroker


class _LosingOnClose(Lying):
    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.held: list[Delivery] = []

    async def receive(self, limit: int) -> Sequence[Delivery]:
        found: Sequence[Delivery] = await self.honest.receive(limit)
        self.held += found
        return found

    async def close(self) -> None:
        await self.honest.acknowledge(self.held)
        await self.honest.close()


class _LosingOnCloseBroker(LyingBroker):
    subscription = _LosingOnClose


class LosesOnClose(HonestMemoryBroker):
    """What a subscription holds is gone when it closes."""

    caught_by, lie = "B02", _LosingOnCloseBroker


class _Doubling(Lying):
    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.again: list[Delivery] = []
        self.doubled: set[int] = set()

    async def receive(self, limit: int) -> Sequence[Delivery]:
        if self.again:
            return [self.again.pop()]
        found: Sequence[Delivery] = await self.honest.receive(limit)
        return found

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        fresh = [delivery for delivery in deliveries if delivery.token not in self.doubled]
        self.doubled.update(delivery.token for delivery in fresh)
        self.again += fresh[-1:]
        await self.honest.acknowledge(deliveries)


class _DoublingBroker(LyingBroker):
    subscription = _Doubling


class DoublesSilently(HonestMemoryBroker):
    """Some deliveries come once more after their acknowledgement."""

    caught_by, lie = "B03", _DoublingBroker


class _Sweeping(Lying):
    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.held: list[Delivery] = []

    async def receive(self, limit: int) -> Sequence[Delivery]:
        found: Sequence[Delivery] = await self.honest.receive(limit)
        self.held += found
        return found

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        newest = max(delivery.token for delivery in deliveries)
        await self.honest.acknowledge([delivery for delivery in self.held if delivery.token <= newest])


class _SweepingBroker(LyingBroker):
    subscription = _Sweeping


class AcknowledgesAllBefore(HonestMemoryBroker):
    """Acknowledging one acknowledges all that came before it."""

    caught_by, lie = "B04", _SweepingBroker


class _Backwards(Lying):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        found: Sequence[Delivery] = await self.honest.receive(limit)
        return found[::-1]


class _BackwardsBroker(LyingBroker):
    subscription = _Backwards


class ReordersWithinKey(HonestMemoryBroker):
    """The newest of a lot comes first."""

    caught_by, lie = "B06", _BackwardsBroker


class _Requeueing(Lying):
    broker: Broker

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        await self.broker.publish([Message(d.topic, d.key, d.id, d.source, d.headers, d.body) for d in deliveries])
        await self.honest.acknowledge(deliveries)


class _RequeueingBroker(LyingBroker):
    def subscribe(self, group: Group) -> Lying:
        subscription = _Requeueing(self.honest.subscribe(group))
        subscription.broker = self.honest
        return subscription


class ReleasesToTheEnd(HonestMemoryBroker):
    """What is given back is queued anew, behind what was published since."""

    caught_by, lie = "B06", _RequeueingBroker


class _LosingWhenCancelled(Lying):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        found: Sequence[Delivery] = await self.honest.receive(limit)
        await asyncio.sleep(0)
        return found


class _LosingWhenCancelledBroker(LyingBroker):
    subscription = _LosingWhenCancelled


class LosesWhenCancelled(HonestMemoryBroker):
    """A `receive` that is cancelled keeps what it had taken."""

    caught_by, lie = "B11", _LosingWhenCancelledBroker


class _Generous(Lying):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        found: Sequence[Delivery] = await self.honest.receive(limit + 1)
        return found


class _GenerousBroker(LyingBroker):
    subscription = _Generous


class ReturnsTooMany(HonestMemoryBroker):
    """A `receive` returns one more than its limit when there is one more."""

    caught_by, lie = "B11", _GenerousBroker


class _Waiting(Lying):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        try:
            found: Sequence[Delivery] = await self.honest.receive(limit)
        except BrokerClosed:
            await asyncio.Event().wait()
            raise
        return found


class _WaitingBroker(LyingBroker):
    subscription = _Waiting


class SleepsThroughItsClosing(HonestMemoryBroker):
    """A waiting `receive` goes on waiting when its subscription is closed."""

    caught_by, lie = "B12", _WaitingBroker


class _Keyless(Lying):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        return [_with_key_back(delivery) for delivery in await self.honest.receive(limit)]


class _KeylessBroker(LyingBroker):
    subscription = _Keyless

    async def publish(self, messages: Sequence[Message]) -> None:
        await self.honest.publish([_with_key_hidden(message) for message in messages])


class GivesAKeyToTwo(HonestMemoryBroker):
    """Two subscriptions of a group hold messages of one key at a time."""

    caught_by, lie = "B14", _KeylessBroker


def _with_key_hidden(message: Message) -> Message:
    headers = {"hidden": msgspec.json.encode((message.key, message.headers)).decode()}
    return msgspec.structs.replace(message, key=None, headers=headers)


def _with_key_back(delivery: Delivery) -> Delivery:
    assert isinstance(delivery.headers, dict)
    key, headers = msgspec.json.decode(delivery.headers["hidden"], type=tuple[str | None, dict[str, str] | None])
    return msgspec.structs.replace(delivery, key=key, headers=headers)
