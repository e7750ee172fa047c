"""Receiving, acknowledging, giving back and closing: B02, B03, B04, B11, B12."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from minuet.errors import BrokerClosed
from minuet.ports.broker import Broker, Delivery, Group, Subscription
from minuet.testing.conformance.of_brokers.bench import BrokerBench, ids
from minuet.testing.conformance.suite import cancelled, refused, yielding


class Receiving(BrokerBench):
    """A delivery's life between the broker and one subscription."""

    async def test_b02_what_is_released_comes_again(self) -> None:
        """A delivery that was given back comes again, as it was."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        await broker.publish(batch := self.events(group.topics[0], 3, "a"))
        first = await self.receive(subscription, 3)
        await subscription.release(first)
        again = await self.handle(subscription, 3)
        assert ids(again) == ids(batch)
        assert [(each.key, each.body) for each in again] == [(each.key, each.body) for each in first]

    async def test_b02_what_is_released_again_and_again_comes_again(self) -> None:
        """However often a delivery is given back, it is not given up."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        await broker.publish(batch := self.events(group.topics[0], 1, "a"))
        for _ in range(20):
            await subscription.release(await self.receive(subscription, 1))
        assert ids(await self.handle(subscription, 1)) == ids(batch)

    async def test_b02_what_a_closed_subscription_held_comes_again(self) -> None:
        """Closing gives back what was received and not acknowledged, and wakes who waits for it."""
        broker = await self.broker()
        group = await self.group(broker)
        closing = broker.subscribe(group)
        await broker.publish(batch := self.events(group.topics[0], 4, "a"))
        held = await self.receive(closing, 4)
        await closing.acknowledge(held[:1])
        waiting = broker.subscribe(group)
        task = asyncio.create_task(self.handle(waiting, 3))
        await yielding()
        await closing.close()
        assert ids(await task) == ids(batch[1:])

    async def test_b03_what_is_acknowledged_does_not_come_again(self) -> None:
        """An acknowledged delivery comes neither to its subscription, nor to a later one of its group."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        await broker.publish(self.events(group.topics[0], 10, "a", None))
        await self.handle(subscription, 10, limit=3)
        await self._only_last_ones_come(broker, group, [broker.subscribe(group), subscription])

    async def test_b03_acknowledged_by_a_closed_subscription_is_acknowledged(self) -> None:
        """What a subscription acknowledged before it closed does not come to the next one."""
        broker = await self.broker()
        group = await self.group(broker)
        closing = broker.subscribe(group)
        await broker.publish(self.events(group.topics[0], 10, "a", None))
        await self.handle(closing, 10, limit=3)
        await closing.close()
        await self._only_last_ones_come(broker, group, [broker.subscribe(group)])

    async def _only_last_ones_come(self, broker: Broker, group: Group, subscriptions: Sequence[Subscription]) -> None:
        last = [self.event(group.topics[0], key) for key in ("a", None)]
        await broker.publish(last)
        found = await self.handle_together(subscriptions, ids(last))
        assert {each.id for lot in found for each in lot} == {each.id for each in last}

    async def test_b04_acknowledging_twice_is_harmless(self) -> None:
        """The second acknowledgement of a delivery changes nothing, also when there are others by then."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        await broker.publish(batch := self.events(group.topics[0], 6, "a"))
        first = await self.handle(subscription, 2)
        await subscription.acknowledge(first)
        second = await self.receive(subscription, 2)
        await subscription.acknowledge(first)
        await subscription.release(second)
        await subscription.acknowledge(first)
        assert ids(await self.handle(subscription, 4)) == ids(batch[2:])

    async def test_b04_acknowledging_one_says_nothing_about_another(self) -> None:
        """Deliveries before and after an acknowledged one are still owed."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        await broker.publish(self.events(group.topics[0], 5, "a", "b", "c", "d", "e"))
        held = await self.receive(subscription, 5)
        await subscription.acknowledge([held[2]])
        await subscription.close()
        again = await self.handle(broker.subscribe(group), 4)
        assert {each.id for each in again} == {each.id for each in held} - {held[2].id}

    async def test_b11_no_more_come_than_were_asked_for(self) -> None:
        """`receive` returns at least one delivery and at most as many as its limit says."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        await broker.publish(self.events(group.topics[0], 20, "a", "b", None))
        missing = 20
        for limit in (1, 2, 3, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100):
            lot = await self.soon(subscription.receive(limit), f"{missing} more deliveries")
            assert 1 <= len(lot) <= limit
            await subscription.acknowledge(lot)
            missing -= len(lot)
            if not missing:
                return
        raise AssertionError(f"{missing} of 20 deliveries did not come in fifteen lots")

    async def test_b11_receiving_waits_until_there_is_something(self) -> None:
        """With nothing to receive, `receive` waits, and a publishing ends its waiting."""
        broker = await self.broker()
        group = await self.group(broker)
        receiving = asyncio.create_task(self.handle(broker.subscribe(group), 1))
        await yielding()
        assert not receiving.done()
        await broker.publish(batch := self.events(group.topics[0], 1))
        assert ids(await receiving) == ids(batch)

    async def test_b11_a_cancelled_receive_loses_nothing(self) -> None:
        """Whenever a `receive` is cancelled, what it did not return comes to the next one."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        batch = self.events(group.topics[0], 60, "a", "b", None)
        found: list[Delivery] = []
        for turns, message in enumerate(batch):
            receiving = asyncio.ensure_future(subscription.receive(2))
            await yielding(turns % 4)
            publishing = asyncio.create_task(broker.publish([message]))
            await yielding(turns % 7)
            found += await cancelled(receiving) or ()
            await publishing
        await subscription.acknowledge(found)
        found += await self.handle(subscription, 60 - len(found))
        assert {each.id for each in found} == {each.id for each in batch}

    async def test_b12_closing_ends_a_waiting_receive(self) -> None:
        """A `receive` that waits while its subscription is closed ends with BrokerClosed, and so does a later one."""
        broker = await self.broker()
        subscription = broker.subscribe(await self.group(broker))
        receiving = asyncio.ensure_future(subscription.receive(1))
        await yielding()
        await self.soon(subscription.close(), "the closing")
        await self._is_closed(receiving)
        await subscription.close()
        await self._is_closed(asyncio.ensure_future(subscription.receive(1)))

    async def test_b12_closing_the_broker_ends_every_receive(self) -> None:
        """Closing the broker closes its subscriptions; closing it twice is once, and the last word."""
        broker = await self.broker()
        subscription = broker.subscribe(await self.group(broker))
        receiving = asyncio.ensure_future(subscription.receive(1))
        await yielding()
        await self.soon(broker.close(), "the closing")
        await self._is_closed(receiving)
        await broker.close()
        await self._is_closed(asyncio.ensure_future(subscription.receive(1)))

    async def _is_closed(self, receiving: asyncio.Future[Sequence[Delivery]]) -> None:
        with refused(BrokerClosed, "a receive on what is closed returned something"):
            await self.soon(receiving, "the end of a receive on what is closed")
