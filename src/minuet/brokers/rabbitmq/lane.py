"""One queue as one worker has it: a channel of its own, what came through it, and what of that is acknowledged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from pamqp import commands

from minuet.brokers.rabbitmq import frames
from minuet.brokers.rabbitmq.aside import Strange
from minuet.brokers.rabbitmq.carrying import delivery_of
from minuet.brokers.rabbitmq.connection import Channel, Connection
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Delivery

PREFETCH = 128
"""How many deliveries of a queue are not acknowledged at most.

Never less than an earlier version had: a quorum queue gives what comes back to the next consumer first, as much as that
one has room for, and what is left of it would come after what that one gives back in turn.
"""
PAUSE_SECONDS = 0.5
"""How long a lane that is to be handed over hands nothing out at first. When what it holds takes longer, it goes on for
as long, so that one slow message does not hold up its queue, and then pauses for twice that."""
TAGS = 1 << 40
"""Below it a token is the tag of a delivery, above it the number of its lane."""


class Lane:
    """A place in one queue: active, or waiting to be."""

    def __init__(
        self,
        queue: str,
        serial: int,
        channel: Channel,
        arrived: Callable[[Lane], None],
        failed: Callable[[BrokerUnavailable], None],
        topics: Mapping[bytes, str],
    ) -> None:
        self.queue = queue
        self.serial = serial
        self.waiting: deque[Delivery] = deque()
        """What came and was not handed out."""
        self.strange: list[Strange] = []
        """What came of topics that are not read here."""
        self.held: set[int] = set()
        """The tags of what was handed out."""
        self.active = False
        """Whether anything has come: then the queue's other consumers wait behind this one."""
        self.leaving = False
        """Once nothing is held, the queue goes to the next."""
        self.owner = ""
        """Whose the queue was when this place was taken."""
        self._base = serial * TAGS
        self._channel = channel
        self._arrived = arrived
        self._topics = topics
        self._paused = False
        self._pausing: asyncio.TimerHandle | None = None
        self._open: dict[int, None] = {}
        """The tags that the server waits for, in order."""
        channel.delivered, channel.ended = self._delivered, failed

    def __repr__(self) -> str:
        return f"<Lane in {self.queue}, {len(self.waiting)} waiting, {len(self.held)} held>"

    @classmethod
    async def begin(
        cls,
        connection: Connection,
        queue: str,
        serial: int,
        arrived: Callable[[Lane], None],
        failed: Callable[[BrokerUnavailable], None],
        topics: Mapping[bytes, str],
    ) -> Lane:
        """Take a place in a queue, behind those who have one."""
        channel = await connection.channel()
        lane = cls(queue, serial, channel, arrived, failed, topics)
        try:
            await channel.ask(commands.Basic.Qos(prefetch_count=PREFETCH), commands.Basic.QosOk)
            await channel.ask(commands.Basic.Consume(queue=queue), commands.Basic.ConsumeOk)
        except BaseException:
            await lane.end()  # or the queue's messages would come to nobody
            raise
        return lane

    def _delivered(self, method: bytes, header: bytes, body: bytes) -> None:
        tag, routing_key = frames.routing_key_of(method)
        topic = self._topics.get(routing_key)
        self._open[tag] = None
        self.active = True
        if topic is not None:
            self.waiting.append(delivery_of(topic, header, body, self._base + tag))
        else:
            now = asyncio.get_running_loop().time()
            self.strange.append(Strange(routing_key.decode("utf-8", "replace"), tag, header, body, now))
        self._arrived(self)

    def take(self, limit: int) -> list[Delivery]:
        """Hand out what came first, at most `limit`."""
        waiting = self.waiting
        if self._paused or not waiting:
            return []
        if len(waiting) <= limit:
            found = list(waiting)
            waiting.clear()
        else:
            found = [waiting.popleft() for _ in range(limit)]
        base = self._base
        self.held.update([delivery.token - base for delivery in found])
        return found

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Put back what was handed out, in its place."""
        base, held = self._base, self.held
        back = {d.token: d for d in deliveries if d.token - base in held}
        held.difference_update(token - base for token in back)
        self.waiting = deque(sorted([*back.values(), *self.waiting], key=lambda delivery: delivery.token))

    def acknowledge(self, tags: Sequence[int]) -> bytes:
        """The frames that acknowledge these of what was handed out; together where nothing lies between."""
        mine = self.held.intersection(tags)
        self.held -= mine
        return self._settle(mine)

    def dismiss(self, strange: Strange) -> bytes:
        """The frame that acknowledges what was set aside."""
        self.strange.remove(strange)
        return self._settle({strange.tag})

    def _settle(self, mine: set[int]) -> bytes:
        last, done = 0, list[int]()
        for tag in self._open:
            if tag not in mine:
                break
            done.append(tag)
            last = tag
        found: list[bytes] = []
        number, still_open = self._channel.number, self._open
        if done:
            found.append(frames.acknowledging(number, last, multiple=True))
            for tag in done:
                del still_open[tag]
            mine.difference_update(done)
        for tag in sorted(mine):
            found.append(frames.acknowledging(number, tag, multiple=False))
            del still_open[tag]
        return b"".join(found)

    def send(self, data: bytes) -> None:
        """Write frames to the lane's channel."""
        self._channel.send(data)

    def leave(self) -> None:
        """The queue is to go to the next."""
        if not self.leaving:
            self.leaving = True
            self._pause(PAUSE_SECONDS, paused=True)

    def stay(self) -> None:
        """The queue is not to go to the next, after all."""
        if self.leaving:
            self.leaving = False
            self._unpause()

    def _pause(self, seconds: float, *, paused: bool) -> None:
        self._paused = paused
        if not paused:
            self._arrived(self)
        self._pausing = asyncio.get_running_loop().call_later(
            seconds, lambda: self._pause(seconds if paused else 2 * seconds, paused=not paused)
        )

    def _unpause(self) -> None:
        self._paused = False
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None

    @property
    def unsettled(self) -> int:
        """How many deliveries of topics that are read here have come and are not acknowledged."""
        return len(self.waiting) + len(self.held)

    async def catch_up(self) -> None:
        """Wait until everything has come that the server had sent when it answered an earlier question."""
        await self._channel.ask(commands.Basic.Qos(prefetch_count=PREFETCH), commands.Basic.QosOk)

    @property
    def drained(self) -> bool:
        """Whether it is leaving and holds nothing."""
        return self.leaving and not self.held

    async def end(self) -> None:
        """Give up the place; what is not acknowledged goes to the next, in its order."""
        self._unpause()
        self.waiting.clear()
        self.strange.clear()
        self.held.clear()
        channel = self._channel
        channel.delivered = _ignored
        channel.ended = lambda _: None
        await asyncio.shield(channel.close())


def _ignored(method: bytes, header: bytes, body: bytes) -> None:
    """What still comes while a channel closes."""
