"""Taking and publishing inside a store's transaction: B14, B15, B16 of a broker that `joins`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from minuet.config import open_store
from minuet.ports.broker import Broker, Delivery, Group, JoinedBroker, JoinedSubscription, Message
from minuet.ports.store import Store, Unit
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_brokers.bench import SOURCE, BrokerBench, ids
from minuet.testing.conformance.process import Prompter
from minuet.testing.conformance.rows import add_row, create_rows, rolled_back, words_of
from minuet.testing.conformance.suite import yielding


class Joint:
    """A broker and a store that share transactions, both open."""

    def __init__(self, broker: Broker, joined: JoinedBroker, store: Store) -> None:
        self.broker = broker
        self.joined = joined
        self.store = store

    def subscribe(self, group: Group, wake: Callable[[], None] = lambda: None) -> JoinedSubscription:
        return self.joined.subscribe(group, wake)

    async def publish(self, messages: Sequence[Message]) -> int:
        """Publish in a transaction of its own; how many were absorbed."""
        async with self.store.transaction() as unit:
            return await self.joined.publish(unit, messages)

    async def take(self, subscription: JoinedSubscription, limit: int = 100) -> list[Delivery]:
        """Take in a transaction of its own."""
        async with self.store.transaction() as unit:
            return list(await subscription.take(unit, limit))


class Joining(BrokerBench):
    """One transaction for the delivery, the rows and what is published."""

    def make_store(self, folder: Path) -> Store:
        """A store, not opened yet, whose transactions the broker of this folder can join; asked for with `joins`."""
        return open_store(self.placed(folder))

    async def joint(self) -> Joint:
        """A broker joined with a store, open until the test ends."""
        broker, store = self.make_broker(self.folder), self.make_store(self.folder)
        joined = broker.joined(store)
        assert joined is not None, "the broker claims `joins` and does not join this store"
        await store.open()
        self.stack.push_async_callback(store.close)
        await broker.open()
        self.stack.push_async_callback(broker.close)
        await create_rows(store)
        return Joint(broker, joined, store)

    async def taken(self, joint: Joint, subscription: JoinedSubscription, count: int) -> list[Delivery]:
        """The next deliveries, at least so many. They may have to wait until transactions before theirs are over."""
        found = list[Delivery]()

        async def enough() -> bool:
            found.extend(await joint.take(subscription, 1000))
            return len(found) >= count

        await self.eventually(enough, f"{count} deliveries")
        return found

    async def turn(self, joint: Joint, unit: Unit, subscription: JoinedSubscription, test: str, topic: str) -> str:
        """One turn: take a delivery, write its id into a row, and publish an event that names both."""
        [delivery] = await self.eventually(lambda: subscription.take(unit, 1), "a delivery")
        await add_row(unit, test, str(delivery.id))
        await joint.joined.publish(unit, [self.event(topic, "a", event_id=f"{test} {delivery.id}")])
        return str(delivery.id)

    @requires("joins")
    async def test_b15_a_commit_takes_publishes_and_writes(self) -> None:
        """After the commit what was taken is taken, what was published reaches its groups, and the rows are there."""
        joint, test = await self.joint(), self.new_name("test")
        group, out = await self.group(joint.broker), await self.group(joint.broker)
        subscription, outputs = joint.subscribe(group), joint.subscribe(out)
        await joint.publish(batch := self.events(group.topics[0], 3, "a"))
        assert await subscription.ready()
        assert not await outputs.ready()
        async with joint.store.transaction() as unit:
            first = await self.turn(joint, unit, subscription, test, out.topics[0])
        assert first == batch[0].id
        assert ids(await self.taken(joint, subscription, len(batch) - 1)) == ids(batch[1:])
        assert not await subscription.ready()
        assert await outputs.ready()
        assert ids(await self.taken(joint, outputs, 1)) == [f"{test} {first}"]
        assert await words_of(joint.store, test) == [first]

    @requires("joins")
    async def test_b15_an_error_takes_publishes_and_writes_nothing(self) -> None:
        """After a rollback what was taken is ready to be taken again, and neither message nor row is there."""
        joint, test = await self.joint(), self.new_name("test")
        group, out = await self.group(joint.broker), await self.group(joint.broker)
        subscription, outputs = joint.subscribe(group), joint.subscribe(out)
        await joint.publish(batch := self.events(group.topics[0], 1, "a"))
        for _ in range(2):
            async with rolled_back(joint.store) as unit:
                await self.turn(joint, unit, subscription, test, out.topics[0])
            assert await subscription.ready()
            assert not await outputs.ready()
        assert ids(await self.taken(joint, subscription, len(batch))) == ids(batch)
        assert await joint.take(outputs) == []
        assert await words_of(joint.store, test) == []

    @requires("joins")
    async def test_b15_turns_that_fail_take_nothing_of_their_neighbours(self) -> None:
        """Groups that work at the same time, and fail now and then, each end with every delivery handled once: one row
        and one output each.
        """
        joint = await self.joint()
        topic = self.new_topic()
        groups = [await self.group(joint.broker, topic) for _ in range(4)]
        outs = [await self.group(joint.broker) for _ in groups]
        batch = self.events(topic, 30, "a")
        await joint.publish(batch)

        async def work(number: int) -> None:
            subscription, turns = joint.subscribe(groups[number]), 0
            while await subscription.ready():
                turns += 1
                fails = (turns + number) % 3 == 0
                async with rolled_back(joint.store) if fails else joint.store.transaction() as unit:
                    await self.turn(joint, unit, subscription, groups[number].name, outs[number].topics[0])
                    await yielding(turns % 3)

        await self.soon(asyncio.gather(*map(work, range(4))), "four groups at work")
        for group, out in zip(groups, outs, strict=True):
            assert await words_of(joint.store, group.name) == sorted(map(str, ids(batch)))
            outputs = ids(await joint.take(joint.subscribe(out), 1000))
            assert outputs == [f"{group.name} {message.id}" for message in batch]

    @requires("joins")
    async def test_b15_undo_takes_back_what_was_published_since_the_mark(self) -> None:
        """What was published after a mark that is undone is not published; what came before it and after it is."""
        joint = await self.joint()
        group = await self.group(joint.broker)
        subscription = joint.subscribe(group)
        batch = self.events(group.topics[0], 3, "a")
        assert not await subscription.ready()
        async with joint.store.transaction() as unit:
            await joint.joined.publish(unit, batch[:1])
            await unit.mark()
            await joint.joined.publish(unit, batch[1:2])
            await unit.undo()
            await joint.joined.publish(unit, batch[2:])
        assert ids(await self.taken(joint, subscription, 2)) == [batch[0].id, batch[2].id]

    @requires("joins")
    async def test_b15_a_process_killed_in_a_transaction_leaves_nothing_of_it(self) -> None:
        """Killed between publishing and commit, a process has taken, published and written nothing."""
        joint, test = await self.joint(), self.new_name("test")
        group, out = await self.group(joint.broker), await self.group(joint.broker)
        await joint.publish(batch := self.events(group.topics[0], 1, "a"))
        arguments = (test, group.name, *group.topics, *out.topics)
        player = await self.player("scene_stops_before_its_commit", *arguments)
        assert await player.hears("written") == ids(batch)
        await player.kill()
        assert ids(await self.taken(joint, joint.subscribe(group), len(batch))) == ids(batch)
        assert await joint.take(joint.subscribe(out)) == []
        assert await words_of(joint.store, test) == []

    async def scene_stops_before_its_commit(
        self, prompter: Prompter, test: str, name: str, topic: str, out_topic: str
    ) -> None:
        """Take, write and publish, and keep the transaction open until killed."""
        joint = await self.joint()
        async with joint.store.transaction() as unit:
            subscription = joint.subscribe(Group(name, name, (topic,)))
            prompter.say("written", await self.turn(joint, unit, subscription, test, out_topic))
            await prompter.hear("nothing")

    @requires("joins")
    async def test_b15_a_process_killed_anywhere_leaves_all_or_nothing(self) -> None:
        """Killed at whatever moment of its work, a process leaves as many rows and outputs as it took deliveries, and
        all of those whose commit it had seen.
        """
        joint, test = await self.joint(), self.new_name("test")
        group, out = await self.group(joint.broker), await self.group(joint.broker)
        batch = self.events(group.topics[0], 400, "a")
        await joint.publish(batch)
        arguments = (test, group.name, *group.topics, *out.topics)
        seen: list[str] = []
        for turns in (1, 7, 20):
            player = await self.player("scene_works", *arguments)
            seen += [(await player.hears("committed"))[0] for _ in range(turns)]
            seen += [said.what[0] for said in await player.kill()]
        rest = await joint.take(joint.subscribe(group), 1000)
        taken = [str(message.id) for message in batch[: len(batch) - len(rest)]]
        assert ids(rest) == ids(batch[len(taken) :])
        assert set(seen) <= set(taken)
        assert await words_of(joint.store, test) == sorted(taken)
        assert ids(await self.taken(joint, joint.subscribe(out), len(taken))) == [f"{test} {each}" for each in taken]

    async def scene_works(self, prompter: Prompter, test: str, name: str, topic: str, out_topic: str) -> None:
        """One turn after the other, each in its own transaction, until killed."""
        joint = await self.joint()
        subscription = joint.subscribe(Group(name, name, (topic,)))
        while await subscription.ready():
            async with joint.store.transaction() as unit:
                done = await self.turn(joint, unit, subscription, test, out_topic)
            prompter.say("committed", done)

    @requires("joins")
    async def test_b14_joined_subscriptions_take_each_message_once(self) -> None:
        """Subscriptions of one group, here and in another process, take every message between them, each once."""
        joint, test = await self.joint(), self.new_name("test")
        group, out = await self.group(joint.broker), await self.group(joint.broker)
        batch = self.events(group.topics[0], 300, "a", "b")
        arguments = (test, group.name, *group.topics, *out.topics)
        await joint.publish(batch[:100])
        player = await self.player("scene_works", *arguments)
        mine, other = joint.subscribe(group), joint.subscribe(group)
        await player.hears("committed")
        await joint.publish(batch[100:])
        taken = list[Delivery]()
        while await mine.ready() or await other.ready():
            taken += await joint.take(mine, 2)
            taken += await joint.take(other, 3)
        await player.kill()
        taken += await joint.take(mine, 1000)
        theirs = await words_of(joint.store, test)
        assert sorted([*theirs, *map(str, ids(taken))]) == sorted(str(message.id) for message in batch)

    @requires("joins")
    async def test_b15_what_another_process_publishes_wakes(self) -> None:
        """A joined subscription is told, at once or soon, that another process has published for it."""
        joint = await self.joint()
        group = await self.group(joint.broker)
        woken = asyncio.Event()
        subscription = joint.subscribe(group, woken.set)
        assert not await subscription.ready()
        player = await self.player("scene_publishes_once", *group.topics)
        [published] = await player.hears("published")
        await self.eventually(subscription.ready, "a delivery from another process", woken)
        assert ids(await self.taken(joint, subscription, 1)) == [published]

    async def scene_publishes_once(self, prompter: Prompter, topic: str) -> None:
        """Publish one message in a transaction."""
        joint = await self.joint()
        message = self.event(topic, "a")
        await joint.publish([message])
        prompter.say("published", str(message.id))
        await prompter.hear("nothing")

    @requires("joins")
    async def test_b16_what_is_published_twice_is_absorbed_and_counted(self) -> None:
        """A message that the log holds, or that stands twice in a batch, is there once, and `publish` says how often
        it was absorbed.
        """
        joint = await self.joint()
        group = await self.group(joint.broker)
        subscription = joint.subscribe(group)
        batch = self.events(group.topics[0], 4, "a")
        assert await joint.publish(batch[:2]) == 0
        assert await joint.publish([batch[1], batch[2], batch[0], batch[2]]) == 3
        assert ids(await self.taken(joint, subscription, 3)) == ids(batch[:3])
        assert await joint.publish([batch[0], batch[3]]) == 1
        assert ids(await self.taken(joint, subscription, 1)) == ids(batch[3:])

    @requires("joins")
    async def test_b16_one_id_under_two_sources_is_two_messages(self) -> None:
        """Ids are a source's own: what another source publishes under the same id is another message."""
        joint = await self.joint()
        group = await self.group(joint.broker)
        [one] = self.events(group.topics[0], 1, "a")
        other = Message(one.topic, one.key, one.id, f"{SOURCE}/other", one.headers, one.body)
        assert await joint.publish([one]) == 0
        assert await joint.publish([other, one]) == 1
        assert {each.source for each in await self.taken(joint, joint.subscribe(group), 2)} == {
            SOURCE,
            f"{SOURCE}/other",
        }
