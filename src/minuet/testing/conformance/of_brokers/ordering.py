"""Order by key, and who may hold a key: B06, B14."""

from __future__ import annotations

import asyncio

from minuet.ports.broker import Delivery, Subscription
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_brokers.bench import BrokerBench, by_key, ids, published_by_key
from minuet.testing.conformance.suite import cancelled, yielding


class Ordering(BrokerBench):
    """Messages of one key, one after the other."""

    @requires("order", "key")
    async def test_b06_messages_of_a_key_come_in_the_order_of_their_publishing(self) -> None:
        """Whatever the size of the lots they are received in, each key keeps its order; so does the empty key."""
        broker = await self.broker()
        for limit in (1, 3, 100):
            group = await self.group(broker)
            batch = self.events(group.topics[0], 60, "a", "b", "", "c")
            for start in range(0, 60, 15):
                await broker.publish(batch[start : start + 15])
            found = await self.handle(broker.subscribe(group), 60, limit=limit)
            assert by_key(found) == published_by_key(batch)

    @requires("order", "key")
    async def test_b06_each_topic_of_a_group_keeps_its_order(self) -> None:
        """A key that two topics share is in order in each of them."""
        broker = await self.broker()
        topics = [self.new_topic(), self.new_topic()]
        group = await self.group(broker, *topics)
        batch = [self.event(topics[number % 2], "a", number) for number in range(40)]
        await broker.publish(batch)
        found = await self.handle(broker.subscribe(group), 40, limit=7)
        for topic in topics:
            assert ids(each for each in found if each.topic == topic) == ids(m for m in batch if m.topic == topic)

    @requires("order", "key")
    async def test_b06_what_is_released_comes_before_what_follows(self) -> None:
        """What is given back, in whatever order, comes again in its old one, before what was published since."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        batch = self.events(group.topics[0], 12, "a", "")
        await broker.publish(batch[:6])
        held = await self.receive(subscription, 6)
        await broker.publish(batch[6:])
        await subscription.release(held[::-1])
        assert by_key(await self.handle(subscription, 12)) == published_by_key(batch)

    @requires("order", "key")
    async def test_b06_what_is_left_after_some_are_acknowledged_keeps_its_order(self) -> None:
        """With the first acknowledged and the rest given back one by one, the rest comes again in order."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        await broker.publish(batch := self.events(group.topics[0], 8, "a"))
        held = await self.receive(subscription, 5)
        await subscription.acknowledge(held[:2])
        for delivery in (held[3], held[2], held[4]):
            await subscription.release([delivery])
        assert ids(await self.handle(subscription, 6, limit=1)) == ids(batch[2:])

    @requires("order", "key")
    async def test_b06_order_outlives_the_subscription(self) -> None:
        """What a closed subscription had not handled comes to the next one before what follows, in order."""
        broker = await self.broker()
        group = await self.group(broker)
        first, second = broker.subscribe(group), broker.subscribe(group)
        await broker.publish(batch := self.events(group.topics[0], 20, "a", "b"))
        handled = set(ids(await self.handle(first, 4)))
        held = await self.receive(first, 5)
        waiting = asyncio.create_task(self.handle(second, 16, limit=3))
        await first.close()
        assert held
        assert by_key(await waiting) == published_by_key(message for message in batch if message.id not in handled)

    @requires("competing")
    async def test_b14_subscriptions_share_their_groups_work(self) -> None:
        """While one holds what it took, another gets the rest, and between them they get everything."""
        broker = await self.broker()
        group = await self.group(broker)
        one, other = broker.subscribe(group), broker.subscribe(group)
        batch = self.events(group.topics[0], 64, *(f"key {number}" for number in range(32)))
        taken: list[list[Delivery]] = [[], []]

        async def hold(subscription_number: int) -> None:
            mine = taken[subscription_number]
            while len(mine) < 8:
                mine += await (one, other)[subscription_number].receive(8 - len(mine))

        holding = [asyncio.create_task(hold(number)) for number in range(2)]
        await broker.publish(batch)
        for task in holding:
            await self.soon(task, "eight deliveries for each of two subscriptions")
        await one.acknowledge(taken[0])
        await other.acknowledge(taken[1])
        rest = set(ids(batch)) - set(ids([*taken[0], *taken[1]]))
        found = await self.handle_together([one, other], rest, limit=4)
        everything = [*taken[0], *taken[1], *found[0], *found[1]]
        assert sorted(map(str, ids(everything))) == sorted(map(str, ids(batch)))

    @requires("competing")
    @requires("order", "key")
    async def test_b14_a_key_that_is_held_goes_to_nobody_else(self) -> None:
        """While one subscription holds a message of a key, another gets later ones of other keys alone."""
        broker = await self.broker()
        group = await self.group(broker)
        one, other = broker.subscribe(group), broker.subscribe(group)
        for key in ("a", ""):
            [first] = self.events(group.topics[0], 1, key)
            await broker.publish([first])
            held, holder, waiting = await self._whoever_receives(one, other)
            later = self.events(group.topics[0], 3, key)
            others = self.events(group.topics[0], 32, *(f"key {number}" for number in range(32)))
            await broker.publish([*later, *others])
            # What waits for its key stands in nobody else's way.
            [early] = await self.handle(waiting, 1, limit=1)
            rest = set(ids(others)) - {early.id}
            passed, kept = await self.handle_together([waiting, holder], rest, limit=1)
            # Its holder may have more of the key, and nobody else.
            assert key not in by_key([early, *passed])
            await holder.acknowledge(held)
            if missing := set(ids(later)) - set(ids(kept)):
                await self.handle_together([waiting, holder], missing)

    async def _whoever_receives(
        self, one: Subscription, other: Subscription
    ) -> tuple[list[Delivery], Subscription, Subscription]:
        """Both receive; the deliveries, who has them, and who has not."""
        pair = (one, other)
        receiving = [asyncio.ensure_future(subscription.receive(1)) for subscription in pair]
        waiting = asyncio.ensure_future(asyncio.wait(receiving, return_when=asyncio.FIRST_COMPLETED))
        await self.soon(waiting, "a delivery to one of two subscriptions")
        lots = [await cancelled(task) for task in receiving]
        holder = 0 if lots[0] else 1
        return [each for lot in lots for each in lot or ()], pair[holder], pair[1 - holder]

    @requires("competing")
    @requires("order", "key")
    async def test_b14_together_they_keep_the_order_of_a_key(self) -> None:
        """Two subscriptions that race for one hot key handle its messages in order, each once."""
        broker = await self.broker()
        group = await self.group(broker)
        subscriptions = [broker.subscribe(group), broker.subscribe(group)]
        batch = self.events(group.topics[0], 100, "hot", "hot", "hot", "cold")
        handled: list[Delivery] = []

        async def pump(number: int) -> None:
            while len(handled) < len(batch):
                await yielding(1)
                lot = await subscriptions[number].receive(3)
                handled.extend(lot)
                await subscriptions[number].acknowledge(lot)

        pumps = [asyncio.create_task(pump(number)) for number in range(2)]
        await broker.publish(batch)

        async def enough() -> bool:
            return len(handled) >= len(batch)

        await self.eventually(enough, "a hundred deliveries to two subscriptions")
        for task in pumps:
            await cancelled(task)
        assert by_key(handled) == published_by_key(batch)
