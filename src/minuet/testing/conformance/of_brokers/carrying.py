"""Messages arrive as they were published, at every group: B01, B05, B07, B08, B09, B10."""

from __future__ import annotations

import random
from collections.abc import Mapping

from minuet.errors import PayloadTooLarge
from minuet.ports.broker import Delivery, Message
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_brokers.bench import BrokerBench, ids, octets
from minuet.testing.conformance.suite import refused

STRANGE = ("", " ", "a/b c", 'say "so"', "\u00fcml\u00e4ut", "\u6f22\u5b57", "x" * 200, "%20", "'; --", "\u2028")


class Carrying(BrokerBench):
    """What a message says and whom it reaches."""

    async def test_b01_what_publish_returned_from_reaches_who_comes_later(self) -> None:
        """A batch whose publishing returned is complete at a group that subscribes only then."""
        broker = await self.broker()
        group = await self.group(broker)
        batch = self.events(group.topics[0], 100, "a", "b", None)
        await broker.publish(batch)
        found = await self.handle(broker.subscribe(group), 100)
        assert sorted(map(str, ids(found))) == sorted(map(str, ids(batch)))

    async def test_b05_every_group_sees_every_message(self) -> None:
        """What one group has taken and acknowledged is still there for another."""
        broker = await self.broker()
        topic = self.new_topic()
        groups = [await self.group(broker, topic) for _ in range(3)]
        batch = self.events(topic, 20, "a", "b")
        await broker.publish(batch)
        for group in groups:
            found = await self.handle(broker.subscribe(group), 20)
            assert {delivery.id for delivery in found} == {message.id for message in batch}

    async def test_b05_a_group_sees_no_topic_of_others(self) -> None:
        """Messages of a topic that the group does not read pass it by."""
        broker = await self.broker()
        group = await self.group(broker)
        strangers = self.events(self.new_topic(), 5, "a")
        await self.group(broker, strangers[0].topic)
        last = self.event(group.topics[0], "a")
        await broker.publish([*strangers, last])
        assert ids(await self.handle_until(broker.subscribe(group), [last.id])) == [last.id]

    async def test_b05_a_message_goes_to_one_subscription_of_a_group(self) -> None:
        """Two streams of one group get every message between them, and none of it both."""
        broker = await self.broker()
        group = await self.group(broker)
        subscriptions = [broker.subscribe(group), broker.subscribe(group)]
        batch = self.events(group.topics[0], 60, *"abcdefgh")
        await broker.publish(batch)
        found = await self.handle_together(subscriptions, ids(batch), limit=5)
        assert sorted(map(str, ids([*found[0], *found[1]]))) == sorted(map(str, ids(batch)))

    @requires("groups", "reaction")
    async def test_b05_a_group_for_each_of_many_reactions(self) -> None:
        """Groups are cheap: forty of them on one topic each see every message."""
        broker = await self.broker()
        topic = self.new_topic()
        groups = [self.new_group(topic) for _ in range(40)]
        await broker.provision(groups)
        batch = self.events(topic, 3, "a")
        await broker.publish(batch)
        for group in groups:
            assert ids(await self.handle(broker.subscribe(group), 3)) == ids(batch)

    @requires("groups", "service")
    async def test_b05_one_group_reads_all_topics_of_a_service(self) -> None:
        """A service has one group, which sees every message of each topic that its reactions take."""
        broker = await self.broker()
        topics = [self.new_topic() for _ in range(10)]
        group = await self.group(broker, *topics)
        batch = [self.event(topic, "a", number) for number in range(3) for topic in topics]
        await broker.publish(batch)
        found = await self.handle(broker.subscribe(group), len(batch))
        assert {(each.topic, each.id) for each in found} == {(each.topic, each.id) for each in batch}

    @requires("envelope", "structured")
    async def test_b07_a_structured_event_arrives_as_it_was(self) -> None:
        """A CloudEvent that is one JSON text arrives with its key, id and source, and without headers."""
        await self._arrive_unchanged([self.event(self.new_topic(), key) for key in ("a", *STRANGE, None)])

    @requires("envelope", "binary")
    async def test_b07_a_binary_event_arrives_as_it_was(self) -> None:
        """A CloudEvent of headers and data arrives with all of them, and with its key, id and source."""
        await self._arrive_unchanged([self.event(self.new_topic(), key) for key in ("a", *STRANGE, None)])

    @requires("envelope", "columns")
    async def test_b07_an_event_in_columns_arrives_as_it_was(self) -> None:
        """A CloudEvent that a database keeps in columns arrives with every attribute, and with its key and data."""
        await self._arrive_unchanged([self.event(self.new_topic(), key) for key in ("a", *STRANGE, None)])

    async def test_b07_headers_arrive_as_they_were(self) -> None:
        """Names and values of a foreign message's headers arrive, whatever text they are; so does having none."""
        topic = self.new_topic()
        headers: list[Mapping[str, str] | None] = [None, {"x-one": "1"}, {"content-type": "text/plain", "x-two": ""}]
        headers += [{"x-strange": value} for value in STRANGE]
        await self._arrive_unchanged([Message(topic, "k", None, None, each, b"data") for each in headers])

    async def _arrive_unchanged(self, messages: list[Message]) -> None:
        broker = await self.broker()
        topics = tuple({message.topic: None for message in messages})
        group = await self.group(broker, *topics)
        subscription = broker.subscribe(group)
        for message in messages:
            await broker.publish([message])
            [delivery] = await self.handle(subscription, 1)
            assert _said(delivery) == _said(message)

    async def test_b08_any_bytes_may_be_a_body(self) -> None:
        """Bodies that are no event, no JSON and no text arrive byte for byte, without an id and a source."""
        broker = await self.broker()
        group = await self.group(broker)
        chance = random.Random(8)
        bodies: list[bytes | str] = [b"", b"\x00", b"\xff\xfe", bytes(range(256)), b"{", b"null", "\u2713", ""]
        bodies += [chance.randbytes(chance.randrange(2000)) for _ in range(50)]
        subscription = broker.subscribe(group)
        for number, body in enumerate(bodies):
            await broker.publish([Message(group.topics[0], (None, "a", "")[number % 3], None, None, None, body)])
            [delivery] = await self.handle(subscription, 1)
            assert octets(delivery.body) == octets(body)
            assert (delivery.id, delivery.source) == (None, None)

    async def test_b08_messages_without_an_id_are_not_taken_for_each_other(self) -> None:
        """Messages that lack id or source are never duplicates, however alike they are."""
        broker = await self.broker()
        group = await self.group(broker)
        alike = Message(group.topics[0], "a", None, None, None, b"alike")
        await broker.publish([alike, alike])
        await broker.publish([alike])
        assert len(await self.handle(broker.subscribe(group), 3)) == 3

    @requires("max_payload_bytes")
    async def test_b09_the_largest_body_arrives(self) -> None:
        """A body of exactly as many bytes as the broker claims is carried."""
        broker = await self.broker()
        group = await self.group(broker)
        body = b"x" * broker.capabilities.max_payload_bytes
        await broker.publish([Message(group.topics[0], "a", None, None, None, body)])
        [delivery] = await self.handle(broker.subscribe(group), 1)
        assert octets(delivery.body) == body

    @requires("max_payload_bytes")
    async def test_b09_a_larger_body_is_refused_with_its_batch(self) -> None:
        """One byte more is refused with PayloadTooLarge, counted in bytes also for text, and its batch with it."""
        broker = await self.broker()
        group = await self.group(broker)
        most = broker.capabilities.max_payload_bytes
        for body in (b"x" * (most + 1), "\u00fc" * (most // 2 + 1)):
            small = self.events(group.topics[0], 2, "a")
            large = Message(group.topics[0], "a", None, None, None, body)
            with refused(PayloadTooLarge, f"a body of {len(octets(body))} bytes was published, above {most}"):
                await broker.publish([small[0], large, small[1]])
        last = self.event(group.topics[0], "a")
        await broker.publish([last])
        assert ids(await self.handle_until(broker.subscribe(group), [last.id])) == [last.id]

    @requires("replay")
    async def test_b10_a_new_group_sees_what_was_there_before_it(self) -> None:
        """What was published, and had by others, before a group came reaches it in order, and then what follows."""
        broker = await self.broker()
        old = await self.group(broker)
        batch = self.events(old.topics[0], 30, "a")
        await broker.publish(batch[:20])
        await self.handle(broker.subscribe(old), 20)
        new = await self.group(broker, *old.topics)
        subscription = broker.subscribe(new)
        found = await self.handle(subscription, 20)
        await broker.publish(batch[20:])
        found += await self.handle(subscription, 10)
        assert sorted(map(str, ids(found))) == sorted(map(str, ids(batch)))


def _said(message: Message | Delivery) -> tuple[object, ...]:
    """Everything that a message says."""
    headers = dict(message.headers) if isinstance(message.headers, Mapping) else message.headers
    return (message.topic, message.key, message.id, message.source, headers, octets(message.body))
