"""What a broker keeps, shows and may forget: B17 to B21."""

from __future__ import annotations

import asyncio

from minuet.ports.broker import Broker, Group
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_brokers.bench import AT_SECONDS, BrokerBench, by_key, ids, published_by_key


class Keeping(BrokerBench):
    """The broker's own books: which messages and which groups there are."""

    @requires("traceable")
    async def test_b17_an_instance_is_shown_with_those_who_await_it(self) -> None:
        """All messages of a correlation id, in the order of their publishing, each with the groups that have not had
        it; a delivery that is held has not been had.
        """
        broker = await self.broker()
        topics = [self.new_topic(), self.new_topic()]
        both, one = await self.group(broker, *topics), await self.group(broker, topics[0])
        mine = self.new_name("instance")
        instance = [self.event(topics[number % 2], "a", number, correlation_id=mine) for number in range(6)]
        others = self.events(topics[0], 2, "a")
        await broker.publish([*instance[:3], *others, *instance[3:]])
        subscription = broker.subscribe(both)
        await self.handle(subscription, 2)
        await self.receive(subscription, 1)
        logged = await broker.instance(mine)
        assert [each.message.id for each in logged] == ids(instance)
        numbers = [each.number for each in logged]
        assert numbers == sorted(set(numbers))
        has_both = {instance[0].id, instance[1].id}
        for each in logged:
            awaited = {both.name} - ({both.name} if each.message.id in has_both else set[str]())
            assert each.awaiting == awaited | ({one.name} if each.message.topic == topics[0] else set[str]())
        assert await broker.instance(self.new_name("nothing")) == []

    @requires("traceable")
    async def test_b17_groups_are_shown_with_how_far_behind_they_are(self) -> None:
        """Each group that was provisioned, with its topics, and how many messages it has not had; asking takes none."""
        broker = await self.broker()
        group, idle = await self.group(broker), await self.group(broker)
        await broker.publish(batch := self.events(group.topics[0], 7, "a"))
        subscription = broker.subscribe(group)
        for handled in range(7):
            progress = {each.group.name: each for each in await broker.groups()}
            assert progress[group.name].behind == 7 - handled
            assert progress[group.name].group == group
            assert progress[idle.name].behind == 0
            assert ids(await self.handle(subscription, 1)) == [batch[handled].id]

    async def test_b18_trimming_takes_nothing_from_a_group_that_has_not_had_it(self) -> None:
        """However late the bound, what a group has not received, or holds, or has given back, still comes to it."""
        broker = await self.broker()
        group = await self.group(broker)
        topic = group.topics[0]
        done = await self.group(broker, topic)
        await broker.publish(batch := self.events(topic, 12, "a"))
        await self.handle(broker.subscribe(done), 12)
        subscription = broker.subscribe(group)
        await self.handle(subscription, 3)
        held = await self.receive(subscription, 4)
        await subscription.release(held[2:])
        await self._trim_all(broker)
        assert ids(await self.receive(subscription, 7)) == ids(batch[5:])
        await subscription.close()
        again = await self.handle(broker.subscribe(group), 9)
        assert by_key(again) == published_by_key(batch[3:])

    @requires("replay")
    async def test_b18_trimming_keeps_what_is_young_or_asked_for(self) -> None:
        """What is younger than the bound stays, and so does what is among `keep`; what goes is counted."""
        broker = await self.broker()
        group = await self.group(broker)
        await broker.publish(batch := self.events(group.topics[0], 10, "a"))
        await self.handle(broker.subscribe(group), 10)
        await broker.trim(AT_SECONDS - 10, AT_SECONDS, frozenset())
        await broker.trim(AT_SECONDS - 5, AT_SECONDS + 1, frozenset())
        seen = await self._replayed(broker, group.topics[0], batch[-1].id)
        assert seen == ids(batch)
        kept = frozenset({str(batch[2].id), str(batch[5].id)})
        gone = await self._trim_all(broker, kept)
        await broker.publish(last := self.events(group.topics[0], 1, "a"))
        seen = await self._replayed(broker, group.topics[0], last[0].id)
        assert kept <= set(seen)
        assert len(seen) + gone >= len(batch) + 1
        assert seen == [each for each in ids([*batch, *last]) if each in set(seen)]

    async def _replayed(self, broker: Broker, topic: str, last: str | None) -> list[str | None]:
        """What a group sees that comes now, up to the last message."""
        return ids(await self.handle_until(broker.subscribe(await self.group(broker, topic)), [last]))

    async def _trim_all(self, broker: Broker, keep: frozenset[str] = frozenset()) -> int:
        """Trim as far as it goes; how many messages went."""
        gone = await broker.trim(AT_SECONDS + 2, AT_SECONDS + 3, keep)
        for step in range(10, 30):
            gone += await broker.trim(AT_SECONDS + step, AT_SECONDS + step + 0.5, keep)
        return gone

    async def test_b19_provisioning_again_moves_no_group(self) -> None:
        """A group that is provisioned once more, by several at once, is where it was."""
        broker = await self.broker()
        group = await self.group(broker)
        await broker.publish(batch := self.events(group.topics[0], 10, "a"))
        subscription = broker.subscribe(group)
        await self.handle(subscription, 4)
        await asyncio.gather(*(broker.provision([group]) for _ in range(8)))
        assert ids(await self.handle(subscription, 6)) == ids(batch[4:])

    async def test_b19_a_group_misses_nothing_once_it_is_provisioned(self) -> None:
        """Groups that several provision at once are there, and what is published before anybody subscribes reaches
        them.
        """
        broker = await self.broker()
        topic = self.new_topic()
        groups = [self.new_group(topic) for _ in range(4)]
        await asyncio.gather(*(broker.provision(groups) for _ in range(4)))
        await broker.publish(batch := self.events(topic, 5, "a"))
        for group in groups:
            assert ids(await self.handle(broker.subscribe(group), 5)) == ids(batch)

    async def test_b20_an_examination_takes_nothing(self) -> None:
        """A broker tells of itself in sentences, twice the same, and nobody misses anything by that."""
        broker = await self.broker()
        group = await self.group(broker)
        await broker.publish(batch := self.events(group.topics[0], 5, "a"))
        examined = await broker.examine()
        assert [each.subject for each in examined] == [each.subject for each in await broker.examine()]
        assert all(each.subject and each.found for each in examined)
        assert ids(await self.handle(broker.subscribe(group), 5)) == ids(batch)

    async def test_b21_a_plan_is_what_provisioning_does(self) -> None:
        """For groups that are new a plan names things and says how they change; once provisioned, nothing is left."""
        broker = await self.broker()
        groups = [self.new_group(self.new_topic()) for _ in range(3)]
        planned = await broker.plan(groups)
        assert planned
        assert all(change.what and change.how and change.refused is None for change in planned)
        await broker.provision(groups[:1])
        rest = await broker.plan(groups)
        assert rest
        assert len(rest) < len(planned)
        await broker.provision(groups)
        assert list(await broker.plan(groups)) == []

    async def test_b21_a_plan_changes_nothing(self) -> None:
        """A plan of what is not there is the same again, by several at once, and costs the groups nothing that are
        there.
        """
        broker = await self.broker()
        here, new = await self.group(broker), self.new_group(self.new_topic(), self.new_topic())
        await broker.publish(batch := self.events(here.topics[0], 5, "a"))
        subscription = broker.subscribe(here)
        await self.handle(subscription, 2)
        first = await broker.plan([here, new])
        assert first
        again = await asyncio.gather(*(broker.plan([here, new]) for _ in range(3)))
        assert [list(each) for each in again] == [list(first)] * 3
        assert ids(await self.handle(subscription, 3)) == ids(batch[2:])

    @requires("provisioned", "by_itself")
    async def test_b21_groups_that_need_nobody_change_as_their_code_does(self) -> None:
        """A group that reads one topic more is planned, provisioned, and has what is published on that topic."""
        broker = await self.broker()
        before = await self.group(broker)
        after = Group(before.name, before.service, (*before.topics, self.new_topic()))
        assert await broker.plan([after])
        await broker.provision([after])
        assert list(await broker.plan([after])) == []
        await broker.publish(batch := self.events(after.topics[1], 3, "a"))
        assert ids(await self.handle(broker.subscribe(after), 3)) == ids(batch)

    @requires("provisioned", "on_request")
    async def test_b21_what_a_person_decides_on_is_named(self) -> None:
        """Whoever has to allow it reads of each topic of a new group by its name."""
        broker = await self.broker()
        group = self.new_group(self.new_topic(), self.new_topic())
        told = " ".join(f"{change.what} {change.how}" for change in await broker.plan([group]))
        assert [topic for topic in group.topics if topic not in told] == []

    @requires("persistent")
    async def test_b19_two_brokers_provision_at_once(self) -> None:
        """Two broker objects that provision the same groups at the same time disturb neither each other nor them."""
        brokers = [await self.broker(), await self.broker()]
        groups = [self.new_group(self.new_topic()) for _ in range(5)]
        await asyncio.gather(*(broker.provision(groups) for broker in brokers for _ in range(3)))
        for group in groups:
            await brokers[0].publish(batch := self.events(group.topics[0], 2, "a"))
            assert ids(await self.handle(brokers[1].subscribe(group), 2)) == ids(batch)
