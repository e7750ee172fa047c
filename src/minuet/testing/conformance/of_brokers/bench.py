"""What tests of a broker stand on: brokers that are opened and closed, new groups, messages, and receiving."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from minuet.config import open_broker
from minuet.ports import broker as port
from minuet.ports.broker import Attributes, Broker, Capabilities, Delivery, Group, Headers, Message, Subscription
from minuet.testing.conformance.suite import Suite, cancelled, yielding

SOURCE = "/conformance"
AT = "2026-01-02T03:04:05Z"
AT_SECONDS = 1767323045.0
MOST = 5000
"""More deliveries than any test publishes."""


class BrokerBench(Suite):
    """A suite about a broker."""

    port = port.__doc__

    def make_broker(self, folder: Path) -> Broker:
        """An adapter, not opened yet. Given the same folder, it reaches the same broker, also from another process.

        By default it is the one that `url` names. A broker that is not persistent is a new one at each call.
        """
        return open_broker(self.placed(folder))

    def declared(self) -> Capabilities:
        return self.capabilities

    @cached_property
    def capabilities(self) -> Capabilities:
        return self.make_broker(Path("unopened")).capabilities

    async def broker(self) -> Broker:
        """A broker that is open until the test ends."""
        broker = self.make_broker(self.folder)
        await broker.open()
        self.stack.push_async_callback(broker.close)
        return broker

    async def group(self, broker: Broker, *topics: str) -> Group:
        """A new group of a new service, provisioned; without topics it has a new one."""
        group = self.new_group(*topics or [self.new_topic()])
        await broker.provision([group])
        return group

    def new_group(self, *topics: str) -> Group:
        """A new group, not provisioned."""
        service = self.new_name("service")
        name = service if self.capabilities.groups == "service" else f"{service}.react"
        return Group(name, service, topics)

    def new_topic(self) -> str:
        """A topic that nobody has used, named as a contract is."""
        return self.new_name("Happened")

    def event(
        self,
        topic: str,
        key: str | None = None,
        number: int = 0,
        *,
        event_id: str | None = None,
        correlation_id: str | None = None,
    ) -> Message:
        """A message as minuet would publish it here: a CloudEvent in the envelope that the broker declares."""
        event_id = event_id or str(uuid.uuid4())
        attributes = _attributes(topic, key, event_id, correlation_id or event_id)
        data = msgspec.json.encode({"number": number, "of": "\u00fcmlaut \u2713"})
        headers: Headers
        body: bytes | str = data
        match self.capabilities.envelope:
            case "binary":
                headers = {f"ce-{name}": value for name, value in attributes.items()}
                headers["content-type"] = "application/json"
            case "structured":
                headers = None
                members = {**attributes, "data": msgspec.Raw(data)}
                body = msgspec.json.encode(members).decode()
            case "columns":
                headers = Attributes(f"{topic}.v1", AT_SECONDS, correlation_id or event_id, None, None)
                body = data.decode()
        return Message(topic, key, event_id, SOURCE, headers, body)

    def events(self, topic: str, count: int, *keys: str | None) -> list[Message]:
        """Messages with these keys in turn, numbered from 0."""
        turn = keys or (None,)
        return [self.event(topic, turn[number % len(turn)], number) for number in range(count)]

    # -- receiving

    async def receive(self, subscription: Subscription, count: int, *, limit: int = 100) -> list[Delivery]:
        """Receive until so many came, and acknowledge none. Fails when they do not come, or more of them."""
        found: list[Delivery] = []
        while len(found) < count:
            missing = count - len(found)
            found += await self.soon(subscription.receive(min(limit, missing)), f"{missing} of {count} deliveries")
        return found

    async def handle(self, subscription: Subscription, count: int, *, limit: int = 100) -> list[Delivery]:
        """Receive until so many came, and acknowledge each lot of them."""
        found: list[Delivery] = []
        while len(found) < count:
            lot = await self.receive(subscription, min(limit, count - len(found)), limit=limit)
            await subscription.acknowledge(lot)
            found += lot
        return found

    async def handle_until(self, subscription: Subscription, last: Iterable[str | None]) -> list[Delivery]:
        """Receive and acknowledge until these ids have come: everything that came, these included."""
        awaited = set(last)
        found: list[Delivery] = []
        while awaited:
            lot = await self.soon(subscription.receive(100), f"{len(awaited)} last messages")
            await subscription.acknowledge(lot)
            found += lot
            _assert_plausible(found)
            awaited -= {delivery.id for delivery in lot}
        return found

    async def handle_together(
        self, subscriptions: Sequence[Subscription], last: Iterable[str | None], *, limit: int = 100
    ) -> list[list[Delivery]]:
        """Several subscriptions receive and acknowledge at once, until these ids have come to any of them."""
        awaited = set(last)
        found: list[list[Delivery]] = [[] for _ in subscriptions]
        done = asyncio.Event()

        async def pump(subscription: Subscription, mine: list[Delivery]) -> None:
            while True:
                await yielding(1)
                lot = await subscription.receive(limit)
                mine += lot
                _assert_plausible(mine)
                await subscription.acknowledge(lot)
                awaited.difference_update(delivery.id for delivery in lot)
                if not awaited:
                    done.set()

        pumps = [asyncio.create_task(pump(*each)) for each in zip(subscriptions, found, strict=True)]
        ended = asyncio.create_task(done.wait())
        try:
            async with asyncio.timeout(self.patience_seconds):
                await asyncio.wait([*pumps, ended], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise AssertionError(f"{len(awaited)} messages did not come to any of the subscriptions") from None
        finally:
            for task in (ended, *pumps):
                await cancelled(task)
        return found


def _assert_plausible(deliveries: Sequence[Delivery]) -> None:
    assert len(deliveries) < MOST, f"{MOST} deliveries came, and the last ones not yet: the broker repeats itself"


def _attributes(topic: str, key: str | None, event_id: str, correlation_id: str) -> dict[str, str]:
    found = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": f"{topic}.v1",
        "time": AT,
        "datacontenttype": "application/json",
        "correlationid": correlation_id,
    }
    return found if key is None else {**found, "partitionkey": key}


def ids(messages: Iterable[Message | Delivery]) -> list[str | None]:
    """The ids of messages or deliveries, in their order."""
    return [message.id for message in messages]


def octets(body: bytes | str) -> bytes:
    """A body as its bytes: text is UTF-8."""
    return body.encode() if isinstance(body, str) else body


def by_key(deliveries: Iterable[Delivery]) -> dict[str | None, list[str | None]]:
    """The ids for each key, in the order of their coming."""
    found: dict[str | None, list[str | None]] = {}
    for delivery in deliveries:
        found.setdefault(delivery.key, []).append(delivery.id)
    return found


def published_by_key(messages: Iterable[Message]) -> dict[str | None, list[str | None]]:
    """The ids for each key, in the order of their publishing."""
    found: dict[str | None, list[str | None]] = {}
    for message in messages:
        found.setdefault(message.key, []).append(message.id)
    return found
