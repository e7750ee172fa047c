"""What outlives a broker object, and the end of a process: B01, B02, B03, B13, B14 with a second process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from minuet.ports.broker import Delivery, Group
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_brokers.bench import BrokerBench, by_key, ids, octets, published_by_key
from minuet.testing.conformance.process import Prompter
from minuet.testing.conformance.suite import yielding


class Hold(msgspec.Struct, frozen=True):
    """When a process had a delivery: from its coming to just before its acknowledgement, on the machine's clock."""

    key: str
    id: str
    since: float
    until: float


class Surviving(BrokerBench):
    """Processes that die, and those that go on."""

    @requires("persistent")
    async def test_b01_what_a_killed_process_had_published_is_there(self) -> None:
        """Each message whose publishing returned before its process was killed reaches a group that waited for it."""
        broker = await self.broker()
        group = await self.group(broker)
        subscription = broker.subscribe(group)
        publisher = await self.player("scene_publishes", group.topics[0])
        said = [(await publisher.hears("published"))[0] for _ in range(5)]
        waiting = asyncio.create_task(self.handle_until(subscription, said))
        said += [one.what[0] for one in await publisher.kill()]
        found = set(ids(await waiting))
        await self.handle_until(subscription, set(said) - found)

    async def scene_publishes(self, prompter: Prompter, topic: str) -> None:
        """Publish one message after the other, and say so, until killed."""
        broker = await self.broker()
        for number in range(1_000_000):
            message = self.event(topic, "a", number)
            await broker.publish([message])
            prompter.say("published", str(message.id))

    @requires("persistent")
    async def test_b02_what_a_killed_process_held_comes_again(self) -> None:
        """What a process had received and not acknowledged when it was killed comes to whoever comes next."""
        broker = await self.broker()
        group = await self.group(broker)
        await broker.publish(batch := self.events(group.topics[0], 6, "a"))
        holder = await self.player("scene_holds", group.name, group.service, *group.topics)
        assert await holder.hears("holds") == ids(batch[:4])
        await holder.kill()
        assert ids(await self.handle(broker.subscribe(group), 6)) == ids(batch)

    @requires("persistent")
    @requires("competing")
    async def test_b02_what_a_killed_process_held_comes_to_who_waits(self) -> None:
        """A subscription that waits for a key held elsewhere gets it when the holder dies, with nothing published."""
        broker = await self.broker()
        group = await self.group(broker)
        await broker.publish(batch := self.events(group.topics[0], 4, "a"))
        holder = await self.player("scene_holds", group.name, group.service, *group.topics)
        assert await holder.hears("holds") == ids(batch)
        waiting = asyncio.create_task(self.handle(broker.subscribe(group), 4))
        await self.nothing_of(waiting, "deliveries of a key that another process holds")
        await holder.kill()
        assert ids(await waiting) == ids(batch)

    async def scene_holds(self, prompter: Prompter, name: str, service: str, topic: str) -> None:
        """Receive four deliveries and keep them until killed."""
        broker = await self.broker()
        held = await self.receive(broker.subscribe(Group(name, service, (topic,))), 4)
        prompter.say("holds", *(str(each.id) for each in held))
        await prompter.hear("nothing")

    @requires("persistent")
    async def test_b03_what_is_acknowledged_stays_so_when_opened_anew(self) -> None:
        """After the broker was closed and opened anew, only what was not acknowledged comes."""
        before = await self.broker()
        group = await self.group(before)
        await before.publish(batch := self.events(group.topics[0], 10, "a"))
        subscription = before.subscribe(group)
        await self.handle(subscription, 4)
        await self.receive(subscription, 3)
        await before.close()
        after = await self.broker()
        assert ids(await self.handle(after.subscribe(group), 6)) == ids(batch[4:])

    @requires("persistent")
    async def test_b13_what_was_published_is_there_when_opened_anew(self) -> None:
        """Messages that nobody had received are all there for a new broker object, as they were."""
        before = await self.broker()
        group = await self.group(before)
        await before.publish(batch := self.events(group.topics[0], 20, "a", "b"))
        await before.close()
        after = await self.broker()
        found = await self.handle(after.subscribe(group), 20)
        assert by_key(found) == published_by_key(batch)
        assert {(each.id, octets(each.body)) for each in found} == {(each.id, octets(each.body)) for each in batch}

    @requires("persistent")
    async def test_b13_the_same_object_may_be_opened_again(self) -> None:
        """A broker that was closed and is opened again publishes and receives as before."""
        broker = await self.broker()
        group = await self.group(broker)
        batch = self.events(group.topics[0], 4, "a")
        await broker.publish(batch[:2])
        await broker.close()
        await broker.open()
        await broker.publish(batch[2:])
        assert ids(await self.handle(broker.subscribe(group), 4)) == ids(batch)

    @requires("persistent")
    @requires("competing")
    @requires("order", "key")
    async def test_b14_two_processes_never_hold_a_key_at_a_time(self) -> None:
        """Two processes share a group's keys, and no two hold one at a time; each key keeps its order, and each message
        is handled once.
        """
        broker = await self.broker()
        group = await self.group(broker)
        where = (group.name, group.service, *group.topics)
        players = [await self.player("scene_shares", *where) for _ in range(2)]
        for player in players:
            await player.hears("ready")
        batch = self.events(group.topics[0], 120, *"abcdef")
        for start in range(0, 120, 10):
            await broker.publish(batch[start : start + 10])
        holds: list[Hold] = []
        reading = [asyncio.create_task(self._read(player.hears, holds)) for player in players]

        async def all_handled() -> bool:
            return len({hold.id for hold in holds}) == len(batch)

        await self.eventually(all_handled, "a hundred and twenty messages handled by two processes")
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        holds.sort(key=lambda hold: hold.since)
        handled: dict[str | None, list[str | None]] = {}
        for hold in holds:
            handled.setdefault(hold.key, []).append(hold.id)
        assert handled == published_by_key(batch)
        assert list(_overlapping(holds)) == []

    async def _read(self, hears: Callable[[str], Awaitable[list[str]]], holds: list[Hold]) -> None:
        while True:
            holds += msgspec.json.decode((await hears("held"))[0], type=list[Hold])

    async def scene_shares(self, prompter: Prompter, name: str, service: str, topic: str) -> None:
        """Receive and acknowledge in small lots, and say when each was held, until killed."""
        broker = await self.broker()
        subscription = broker.subscribe(Group(name, service, (topic,)))
        prompter.say("ready")
        while True:
            lot: list[Delivery] = list(await subscription.receive(3))
            since = time.monotonic()
            await yielding()
            until = time.monotonic()
            await subscription.acknowledge(lot)
            holds = [Hold(str(each.key), str(each.id), since, until) for each in lot]
            prompter.say("held", msgspec.json.encode(holds).decode())


def _overlapping(holds: list[Hold]) -> Iterator[tuple[Hold, Hold]]:
    """Holds of one key that two processes had at a time. Deliveries of one lot share their instants."""
    last: dict[str, Hold] = {}
    for hold in holds:
        before = last.get(hold.key)
        if before is not None and hold.since < before.until and hold.since != before.since:
            yield before, hold
        last[hold.key] = hold
