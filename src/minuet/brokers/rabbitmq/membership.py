"""How the workers of one service know of each other: each tells all, through an exchange, that it is there.

What they know decides who takes which queue, and nothing else: whoever is wrong about it waits behind a consumer that
is active, or hands over a queue once too often. That no two are active at a time the server sees to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable

import msgspec
from pamqp import commands

from minuet.brokers.rabbitmq import frames
from minuet.brokers.rabbitmq.connection import Channel, Connection
from minuet.brokers.rabbitmq.sharing import Member
from minuet.errors import BrokerUnavailable

TELL_SECONDS = 2.0
GONE_SECONDS = 7.0
"""After so long a silence a worker is taken for gone. Its queues are with its standby already."""
SETTLE_SECONDS = 0.25
"""How long one that comes waits for others to answer."""

_PROPERTIES = b"\x00\x00"
_decode = msgspec.json.Decoder(Member).decode


class Members:
    """The workers of one group, as one of them sees them."""

    def __init__(
        self, exchange: str, group: str, topics: frozenset[str], speaker: Callable[[], Awaitable[Channel]]
    ) -> None:
        self.me = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._exchange = exchange
        self._group = group
        self._topics = topics
        self._speaker = speaker
        """A channel to publish on. Not that of the deliveries: a server in need stops whoever publishes."""
        self.queues = 0
        self.ready = False
        self.known: dict[str, Member] = {}
        self.changed: Callable[[], None] = lambda: None
        self.heard: Callable[[str], None] = lambda _: None
        self._last: dict[str, float] = {}
        self._echo = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None
        self._answer_soon = asyncio.Event()
        self._channel: Channel | None = None

    def __repr__(self) -> str:
        return f"<Members of {self._group}, {len(self.known)} known>"

    def others(self) -> list[Member]:
        """Who else is there and has taken its places."""
        return [member for member in self.known.values() if member.ready]

    def myself(self) -> Member:
        """What the others are told."""
        return Member(self.me, self._topics, self.queues, ready=self.ready)

    async def join(self, connection: Connection, *, alone: bool, failed: Callable[[BrokerUnavailable], None]) -> None:
        """Listen to the others and ask who is there; `alone` says that nobody else can be."""
        channel = self._channel = await connection.channel()
        channel.ended = failed
        channel.delivered = self._hear
        declared = await channel.ask(commands.Queue.Declare(exclusive=True, auto_delete=True), commands.Queue.DeclareOk)
        queue = declared.queue or ""
        await channel.ask(
            commands.Queue.Bind(queue=queue, exchange=self._exchange, routing_key=self._group), commands.Queue.BindOk
        )
        await channel.ask(commands.Basic.Consume(queue=queue, no_ack=True), commands.Basic.ConsumeOk)
        await self._tell(msgspec.structs.replace(self.myself(), asks=True))
        self._telling = asyncio.create_task(self._keep_telling(), name=f"minuet members of {self._group}")
        if not alone:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_SECONDS * 4):
                    await self._echo.wait()
                    await asyncio.sleep(SETTLE_SECONDS)  # what others answer is on its way

    async def settle(self) -> None:
        """From now on the others count on this one."""
        self.ready = True
        await self._tell(self.myself())

    async def leave(self) -> None:
        """Tell the others, if that is possible, and no more."""
        if self._telling is None:
            return
        self._telling.cancel()
        self._telling = None
        await self._tell(msgspec.structs.replace(self.myself(), leaves=True))

    async def end(self) -> None:
        """Hear no more."""
        if self._channel is not None:
            self._channel.ended = lambda _: None
            await self._channel.close()

    async def _keep_telling(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TELL_SECONDS):
                    await self._answer_soon.wait()
            self._answer_soon.clear()
            await self._tell(self.myself())
            now = loop.time()
            if now - asked_at > 2 * TELL_SECONDS:  # this process stood still: what it has not heard says nothing
                self._last = dict.fromkeys(self._last, now)
            gone = [other for other, at in self._last.items() if now - at > GONE_SECONDS]
            for other in gone:
                self._drop(other)
            if gone:
                self.changed()

    async def _tell(self, member: Member) -> None:
        with contextlib.suppress(BrokerUnavailable):  # who is not heard does not count, and is asked again
            channel = await self._speaker()
            method = frames.publishing(channel.number, self._exchange, self._group)
            channel.send(method + frames.content(channel.number, _PROPERTIES, msgspec.json.encode(member)))

    def _hear(self, method: bytes, properties: bytes, body: bytes) -> None:
        try:
            member = _decode(body)
        except msgspec.DecodeError:  # whoever wrote that is none of us
            return
        if member.id == self.me:
            self._echo.set()
            return
        before = self.known.get(member.id)
        if member.leaves:
            self._drop(member.id)
        else:
            self._last[member.id] = asyncio.get_running_loop().time()
            self.known[member.id] = msgspec.structs.replace(member, asks=False)
        if member.asks:
            self._answer_soon.set()
        self.heard(member.id)
        if self.known.get(member.id) != before:
            self.changed()

    def _drop(self, member: str) -> None:
        self._last.pop(member, None)
        self.known.pop(member, None)
