"""Publishing with confirms: a batch goes out in one window and is awaited once, in several where care is needed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pamqp import commands

from minuet.brokers.rabbitmq import frames
from minuet.brokers.rabbitmq.carrying import properties_of
from minuet.brokers.rabbitmq.caution import Caution, Tried
from minuet.brokers.rabbitmq.connection import LEADERLESS, NOT_FOUND, Channel, Connection, Refused
from minuet.errors import BrokerUnavailable, CapacityError
from minuet.ports.broker import Message

WINDOW_BYTES = 256 * 1024
"""How much is written before we look whether the server keeps up."""
BLOCKED_SECONDS = 3.0
"""How long a batch waits for a server that says it takes nothing now."""
CONFIRM_SECONDS = 10.0
"""How long a server that takes messages may take to confirm them. A queue that has lost its leader never does."""
MOST_SECONDS = 3.0
"""How long another window of a batch is begun, which is short beside the time for which a relay may hold it."""
FULL = (
    "A queue that they go to is full and is set to reject what is published (max-length or max-length-bytes with "
    "overflow reject-publish, in a policy or in its arguments), or has no leader (rabbitmq-queues quorum_status). Let "
    "whoever reads it catch up, raise the limit, or bring its members back."
)


class _Window:
    """What was published together and waits for its confirms."""

    __slots__ = ("done", "first", "left", "refused", "topics", "unroutable")

    def __init__(self, left: int, topics: set[str]) -> None:
        self.left = left
        self.topics = topics
        self.first = 0
        """The number of the first publishing; those of the others follow."""
        self.refused: list[int] = []
        """The numbers of what the server would not take."""
        self.unroutable: set[str] = set()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done.add_done_callback(_seen)

    def finish(self, error: BrokerUnavailable | None = None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)


class Publisher:
    """Publishes to one exchange on one channel. It ends with its channel; the broker then makes another."""

    def __init__(
        self,
        channel: Channel,
        exchange: str,
        expected: Mapping[str, str],
        unroutable: Counter[str],
        caution: Caution,
    ) -> None:
        self._channel = channel
        self._exchange = exchange
        self._expected = expected
        """Who reads a topic, as far as this process knows."""
        self._unroutable = unroutable
        self._caution = caution
        self._methods: dict[str, bytes] = {}
        self._number = 0
        self._pending: dict[int, _Window] = {}
        """By the number of its publishing, whose message it is that the server has not confirmed; in order."""
        channel.confirmed, channel.returned, channel.ended = self._confirmed, self._returned, self._ended
        channel.connection.alarmed = self._alarmed
        self._alarm = asyncio.Event()
        self._writing = asyncio.Lock()

    @classmethod
    async def begin(
        cls,
        connection: Connection,
        exchange: str,
        expected: Mapping[str, str],
        unroutable: Counter[str],
        caution: Caution,
    ) -> Publisher:
        """A publisher on a channel of its own."""
        channel = await connection.channel()
        await channel.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)
        return cls(channel, exchange, expected, unroutable, caution)

    @property
    def lost(self) -> bool:
        """Whether another one must be made."""
        return self._channel.lost is not None

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish in order, and return when the server has every message as safe as its queues are.

        Raises MessagesRefused when it would not take one, and BrokerUnavailable when it takes nothing.
        """
        number, clock = self._channel.number, asyncio.get_running_loop().time
        self._refuse_when_blocked()
        parts = [
            (self._methods.get(message.topic) or self._begin(message.topic))
            + frames.content(number, properties_of(message), _octets(message.body))
            for message in messages
        ]
        tried, unroutable, full, until = Tried(messages), set[str](), False, clock() + MOST_SECONDS
        for places in self._caution.windows(messages, clock()):
            if clock() > until:
                break
            if not (allowed := tried.allowed(places)):
                continue
            topics = {messages[place].topic for place in allowed}
            window = await self._publish([parts[place] for place in allowed], topics)
            refused = {allowed[number - window.first] for number in window.refused}
            if window.unroutable:
                refused.update(place for place in allowed if messages[place].topic in window.unroutable)
            self._caution.begin({messages[place].topic for place in refused}, clock())
            tried.note(allowed, refused)
            unroutable |= window.unroutable
            full = full or bool(window.refused)
        tried.raise_if_not_all(repr(self._channel.connection), self._why(unroutable, full=full))

    async def _publish(self, parts: Sequence[bytes], topics: set[str]) -> _Window:
        """Write these and wait until the server has said of each what became of it."""
        connection = self._channel.connection
        window = _Window(len(parts), topics)
        async with self._writing:
            window.first = self._number + 1
            for piece, count in frames.windows(parts, WINDOW_BYTES):
                if self._channel.lost is not None:
                    break
                first = self._number + 1
                self._number += count
                self._pending.update(dict.fromkeys(range(first, first + count), window))
                self._channel.send(piece)
                if not connection.writable:
                    await self._wait(asyncio.ensure_future(connection.drain()))
        if self._channel.lost is not None:
            window.finish(self._channel.lost)
        await self._wait(window.done)
        return window

    def _why(self, unroutable: set[str], *, full: bool) -> str:
        reasons = [FULL] if full else []
        if unroutable:
            told = ", ".join(f"{topic} (read by {self._expected.get(topic)})" for topic in sorted(unroutable))
            reasons.append(
                f"There is no queue for {told}: they were deleted, or bound to another exchange. Provision them again "
                "(minuet run --provision)."
            )
        return " ".join(reasons)

    async def _wait(self, done: asyncio.Future[Any]) -> None:
        """Wait, but not for long for a server that says it takes nothing now."""
        loop = asyncio.get_running_loop()
        end, connection = loop.time() + CONFIRM_SECONDS, self._channel.connection
        while not done.done():
            seconds = min(BLOCKED_SECONDS, end - loop.time()) if connection.blocked is not None else end - loop.time()
            if seconds <= 0:
                connection.abort(
                    f"did not confirm every message within {CONFIRM_SECONDS:.0f} seconds: see {LEADERLESS}"
                )
                break
            self._alarm.clear()
            alarm: asyncio.Future[Any] = asyncio.ensure_future(self._alarm.wait())
            try:
                await asyncio.wait([done, alarm], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                alarm.cancel()
            if not done.done() and not alarm.done():
                self._refuse_when_blocked()
        await done

    def _refuse_when_blocked(self) -> None:
        connection = self._channel.connection
        if self._channel.lost is not None:
            raise self._channel.lost
        if connection.blocked is not None:
            raise BrokerUnavailable(
                f"{connection!r} takes no messages now: {connection.blocked}. It is short of memory or disk; free "
                "some, or let its queues be emptied. What is owed waits."
            )

    def _begin(self, topic: str) -> bytes:
        if len(topic.encode()) > 255:
            raise CapacityError(f"The topic {topic[:80]!r}... has more than the 255 bytes that AMQP has room for.")
        method = self._methods[topic] = frames.publishing(self._channel.number, self._exchange, topic)
        return method

    # -- what the server says

    def _confirmed(self, number: int, multiple: bool, taken: bool) -> None:  # noqa: FBT001  # as the frame has it
        pending = self._pending
        if not multiple:
            window = pending.pop(number, None)
            if window is not None:
                _count(window, number, taken=taken)
            return
        numbers: list[int] = []
        for each in pending:
            if each > number:
                break
            numbers.append(each)
        for each in numbers:
            _count(pending.pop(each), each, taken=taken)

    def _returned(self, method: bytes) -> None:
        topic = frames.returned(method).decode()
        self._unroutable[topic] += 1
        if topic in self._expected:
            for window in set(self._pending.values()):
                if topic in window.topics:
                    window.unroutable.add(topic)

    def _ended(self, error: BrokerUnavailable) -> None:
        if isinstance(error, Refused) and error.code == NOT_FOUND:
            error = BrokerUnavailable(
                f"{self._channel.connection!r} has no exchange {self._exchange!r}. Provision it first (minuet run "
                "--provision), or correct exchange= in the URL."
            )
        for window in set(self._pending.values()):
            window.finish(error)
        self._pending.clear()

    def _alarmed(self) -> None:
        self._alarm.set()


def _count(window: _Window, number: int, *, taken: bool) -> None:
    window.left -= 1
    if not taken:
        window.refused.append(number)
    if not window.left:
        window.finish()


def _octets(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _seen(done: asyncio.Future[None]) -> None:
    """Whoever published may have been cancelled, and then nobody asks."""
    if not done.cancelled():
        done.exception()
