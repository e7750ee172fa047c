"""The broker port: how events travel between services.

A broker keeps these clauses, which `minuet.testing.conformance` checks under the same ids:

- B01 `publish` returns only when every message of the batch is as durable as the broker claims (`persistent`).
- B02 A received delivery that was not acknowledged comes again, after `release`, `close` or a crash.
- B03 An acknowledged delivery does not come again to its group.
- B04 Acknowledging twice is harmless, and acknowledging one delivery says nothing about another.
- B05 Every group sees every message of its topics; within a group each message goes to one subscription.
- B06 With `order="key"`, messages of one topic and key reach a group in the order of their publishing, also after
  a release: what is given back comes again before what was published later.
- B07 Topic, key, id, source, headers and body arrive as they were published, byte for byte.
- B08 Any bytes may be a body, and a message may lack id and source.
- B09 A message above `max_payload_bytes` is refused with `PayloadTooLarge` and nothing of its batch is published.
- B10 With `replay`, a group that subscribes for the first time sees what was published before.
- B11 `receive` returns at most `limit` deliveries, waits while there is none, and may be cancelled without loss.
- B12 `close` ends a waiting `receive` with `BrokerClosed` and may be called twice.
- B13 With `persistent`, what was published is there after the broker object is closed and opened anew.
- B14 With `competing`, several subscriptions of one group, in one process or several, share its messages, and no
  two of them hold messages of one key at a time.
- B15 With `joins`, taking, publishing and a store's rows are one transaction: all or nothing, also when the
  process is killed.
- B16 With `joins`, a message whose (source, id) the log already holds is absorbed and counted, not doubled; one id
  under two sources is two messages.
- B17 With `traceable`, `instance` gives back every message of a correlation id in the order of their publishing, each
  with the groups that have yet to have it, and `groups` says how far behind each group is. Neither takes anything
  from anybody.
- B18 `trim` forgets only what every group has had, what is older than its bound, and what is not among `keep`.
- B19 `provision` is idempotent and safe when several do it at once; it moves no group, and from then on its groups
  miss nothing, also while nobody is subscribed.
- B20 `examine` tells what the broker finds in itself, and takes nothing from anybody.
- B21 `plan` tells what `provision` would change and changes nothing; after `provision` nothing of it is left. What is
  `refused` makes `provision` raise BrokerUnavailable before it changes anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from minuet.errors import BrokerUnavailable, PayloadTooLarge
from minuet.ports.examined import Examined

if TYPE_CHECKING:
    from minuet.ports.store import Emission, Store, Unit


class Attributes(msgspec.Struct, frozen=True, gc=False):
    """What a database keeps in columns of a CloudEvent beside id, source and partition key; the body is its JSON data.

    For `envelope="columns"`. `at` is the time in seconds since 1970 UTC.
    """

    type: str
    at: float
    correlationid: str | None
    causationid: str | None
    traceparent: str | None
    extensions: Mapping[str, str | int | bool] | None = None


Headers = Mapping[str, str] | Attributes | None


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message as a broker carries it.

    `headers` is None for a structured CloudEvent, whose body says everything, and `Attributes` where a database keeps
    those in columns. `id` and `source` identify the event
    for deduplication; a foreign message may lack them. `key` orders messages of one topic and may be None.
    """

    topic: str
    key: str | None
    id: str | None
    source: str | None
    headers: Headers
    body: bytes | str


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message as it reached one group, with the broker's own `token` to acknowledge it by."""

    topic: str
    key: str | None
    id: str | None
    source: str | None
    headers: Headers
    body: bytes | str
    token: int


def never_provisioned(group: Group, where: object) -> BrokerUnavailable:
    """What a broker raises that is asked for a group's messages and does not know the group."""
    return BrokerUnavailable(
        f"{where} does not know the group {group.name}: it was never provisioned, or what knew of it is gone. An App "
        "makes its groups when it starts, by `minuet run --provision` where that is to be asked for: start it again. "
        "Without an App, await the broker's provision() first."
    )


def size_bytes_of(body: bytes | str) -> int:
    """How many bytes a body has; text counts as UTF-8."""
    return len(body) if isinstance(body, bytes) or body.isascii() else len(body.encode())


def refuse_large(messages: Sequence[Message], most_bytes: int) -> None:
    """Raise PayloadTooLarge when a body has more bytes than a broker carries; text counts as UTF-8."""
    for message in messages:
        body = message.body
        if len(body) * 4 <= most_bytes:  # no character takes more than four bytes
            continue
        size_bytes = size_bytes_of(body)
        if size_bytes > most_bytes:
            raise PayloadTooLarge(
                f"A message on {message.topic} has {size_bytes} bytes, and this broker takes {most_bytes}. Put the "
                "large part where both sides can reach it and send its address."
            )


class Group(msgspec.Struct, frozen=True):
    """One consumer group: its name, the service it belongs to and the topics it reads."""

    name: str
    service: str
    topics: tuple[str, ...]


class Logged(msgspec.Struct, frozen=True):
    """A message that the broker keeps, and who has yet to have it."""

    message: Message
    number: int
    """The broker's number for it; what was published later has a higher one."""
    awaiting: frozenset[str] = frozenset()
    """The names of the groups that read its topic and have not had it: not taken, or taken and not acknowledged."""


class Progress(msgspec.Struct, frozen=True):
    """A group and how many messages it has yet to have."""

    group: Group
    behind: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that provisioning would change, or that it finds and must not change by itself."""

    what: str
    """`topic OrderPlaced.v1`."""
    how: str
    """`create it: 6 partitions, 1 copy`."""
    refused: str | None = None
    """Why `provision` leaves it, and what a person can do."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker can and cannot do; declared once, read by startup, conformance and the documents."""

    order: Literal["none", "key"]
    """Whether messages of one key keep their order."""
    persistent: bool
    """Whether published messages survive the end of every process."""
    replay: bool
    """Whether a new group sees what was published before it came."""
    competing: bool
    """Whether several processes may share one group's work."""
    groups: Literal["reaction", "service"]
    """Whether groups are cheap enough for one a reaction, or there is one a service."""
    envelope: Literal["structured", "binary", "columns"]
    """Whether CloudEvents travel as one JSON body, as headers and data, or as columns of a database."""
    joins: bool
    """Whether taking and publishing can be part of a store's transaction."""
    max_payload_bytes: int
    """The largest body, in bytes."""
    traceable: bool = False
    """Whether an instance's messages can be read back without taking them from anybody."""
    provisioned: Literal["by_itself", "on_request"] = "by_itself"
    """Whether what groups need is a matter of course, or a person decides and asks for it."""


def changed_groups(wanted: Sequence[Group], known: Sequence[Group]) -> list[Change]:
    """The plan of a broker that keeps nothing for a group but its name and topics."""
    topics = {group.name: frozenset(group.topics) for group in known}
    return [
        Change(
            what=f"group {group.name}",
            how=f"{'read' if group.name in topics else 'create it, to read'} {', '.join(sorted(group.topics))}",
        )
        for group in wanted
        if topics.get(group.name) != frozenset(group.topics)
    ]


class Subscription(Protocol):
    """One group's stream, as one process sees it."""

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for deliveries and return at least one and at most `limit`."""
        ...

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these need never come again."""
        ...

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give these back; they come again, in their old order, before later ones of their keys."""
        ...

    async def close(self) -> None:
        """Stop receiving; what was not acknowledged goes back to the group."""
        ...


class JoinedSubscription(Protocol):
    """One group's stream, taken inside a store's transaction."""

    async def ready(self) -> bool:
        """Whether there is anything to take. Never waits."""
        ...

    async def enter(self, unit: Unit) -> None:
        """From here until `unit` ends nobody else takes for the group. Comes before anything that is asked of the
        store about the group's keys, so that the answer holds when deliveries are taken; `take` alone enters too.
        """
        ...

    def take(self, unit: Unit, limit: int) -> Awaitable[Sequence[Delivery]]:
        """The next deliveries, in order, at most `limit`, perhaps none. They are taken when `unit` commits."""
        ...


class JoinedBroker(Protocol):
    """A broker whose taking and publishing belong to a store's transaction."""

    answers_late: ClassVar[bool]
    """Whether `publish` on a store's unit has asked all once it is called, so that its answer may be awaited after the
    commit. On a user's own it is always awaited, and without this before the unit ends.
    """

    def publish(self, unit: Emission, messages: Sequence[Message]) -> Awaitable[int]:
        """Publish when `unit` commits. Awaited, it says how many were absorbed as duplicates."""
        ...

    def subscribe(self, group: Group, wake: Callable[[], None]) -> JoinedSubscription:
        """The stream of a group that was provisioned; `wake` is called when there may be something new to take."""
        ...


class Broker(Protocol):
    """Carries messages from publishers to groups. The clauses are at the top of this file."""

    capabilities: ClassVar[Capabilities]

    async def open(self, *, create: bool = True) -> None:
        """Connect; `BrokerUnavailable` or `StoreUnavailable` says in prose why that is not possible.

        Without `create`, a place that minuet has never used is refused and left as it is. A broker that is provisioned
        on request changes nothing when it opens, with `create` neither: its `plan` says what is missing.
        """
        ...

    async def close(self) -> None:
        """End every subscription and disconnect."""
        ...

    async def provision(self, groups: Sequence[Group]) -> None:
        """Create what these groups and their topics need. Idempotent, safe when several do it at once.

        Raises BrokerUnavailable, before anything is changed, for what its `plan` says is refused.
        """
        ...

    async def plan(self, groups: Sequence[Group]) -> Sequence[Change]:
        """What `provision` would change; changes nothing."""
        ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish a batch, in its order; all of it or none where the broker can, and always with an error if not.

        BrokerUnavailable says that it takes nothing now, and any other error that it refused something, which is then
        looked for one by one. A broker that knows which raises `MessagesRefused`, and nothing of what it took is
        published again. Nothing is taken behind a refused one of its topic and key, as far as the broker can help it.
        """
        ...

    def subscribe(self, group: Group) -> Subscription:
        """A stream of the group's messages; several streams of one group share them."""
        ...

    def joined(self, store: Store) -> JoinedBroker | None:
        """This broker as part of the store's transactions, or None when they cannot share one."""
        ...

    async def trim(self, before: float, now: float, keep: frozenset[str]) -> int:
        """Forget, in a bounded step, messages that every group has had, that are older than `before` (give or take
        the interval between two trims), and whose id is not among `keep`. Returns how many.
        """
        ...

    async def instance(self, correlation_id: str, *, quick: bool = False) -> Sequence[Logged]:
        """Every message of an instance, for whoever looks on. With `quick`, those alone whose ids an index finds: all
        that reactions emitted, and perhaps not what came into the instance from outside. BrokerUnavailable where the
        broker is not `traceable`.
        """
        ...

    async def groups(self) -> Sequence[Progress]:
        """The groups that were ever provisioned, and how far behind each is.

        A broker that is not `traceable` knows of the groups that this object was told of, and may not see what other
        processes were given and have not acknowledged. What nobody was given, and what this process was given and has
        not acknowledged, is always among `behind`.
        """
        ...

    async def examine(self) -> Sequence[Examined]:
        """What the broker finds when it looks at itself; see `Store.examine`."""
        ...


@runtime_checkable
class Watching(Protocol):
    """A broker that can tell, with a few look-ups, what holds its deliveries back. Not every broker can."""

    async def alarms(self) -> Sequence[str]:
        """What holds deliveries back now, and what to do about it, each in a sentence or two."""
        ...
