"""One AMQP connection and its channels, as far as minuet needs them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pamqp import commands, frame
from pamqp.base import Frame

from minuet.brokers.rabbitmq import frames
from minuet.brokers.rabbitmq.frames import Content
from minuet.brokers.rabbitmq.handshake import greet
from minuet.errors import BrokerUnavailable

if TYPE_CHECKING:
    from minuet.brokers.rabbitmq.address import Address

F = TypeVar("F", bound=Frame)
CONNECT_SECONDS = 4.5
"""A server that does not let us in within this time is said to be unavailable."""
ANSWER_SECONDS = 10.0
"""How long an answer may take. A server that is gone is noticed by its heartbeats, sooner."""
CLOSE_SECONDS = 2.0
LEADERLESS = "whether it is overloaded, or a queue has no leader (rabbitmq-queues quorum_status)"
NOT_FOUND, ACCESS_REFUSED, PRECONDITION_FAILED, COMMAND_INVALID = 404, 403, 406, 503


class Refused(BrokerUnavailable):
    """The server ended a channel or a connection; `code` is AMQP's, `said` are its words."""

    def __init__(self, message: str, code: int, said: str) -> None:
        super().__init__(message)
        self.code = code
        self.said = said


class Channel:
    """One channel: methods and their answers, in order; messages and confirms go to whoever has set himself here."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.lost: BrokerUnavailable | None = None
        self.delivered: Callable[[bytes, bytes, bytes], None] = _nothing
        self.returned: Callable[[bytes], None] = _nothing
        self.confirmed: Callable[[int, bool, bool], None] = _nothing
        """Is given the number, whether all up to it are meant, and whether the server has taken them."""
        self.ended: Callable[[BrokerUnavailable], None] = _nothing
        self.content = Content(self._complete)
        self._answers: deque[asyncio.Future[Frame]] = deque()

    def __repr__(self) -> str:
        return f"<Channel {self.number} of {self.connection!r}>"

    def send(self, data: bytes) -> None:
        """Write frames; nothing is written to a channel that has ended."""
        if self.lost is None:
            self.connection.write(data)

    async def ask(self, method: Frame, answer: type[F]) -> F:
        """Send a method and wait for its answer. Raises Refused when the server ends the channel instead."""
        if self.lost is not None:
            raise self.lost
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._answers.append(future)
        self.connection.write(frame.marshal(method, self.number))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await future
        except TimeoutError:
            self.connection.abort(f"did not answer {method.name} within {ANSWER_SECONDS:.0f} seconds: see {LEADERLESS}")
            raise BrokerUnavailable(str(self.connection.lost)) from None
        if not isinstance(found, answer):
            self.connection.abort(f"answered {method.name} with {found.name}")
            raise BrokerUnavailable(str(self.connection.lost))
        return found

    async def close(self) -> None:
        """End the channel: what it had not acknowledged goes back to its queue, in order, and the next has it."""
        if self.lost is None:
            with contextlib.suppress(BrokerUnavailable):
                await self.ask(commands.Channel.Close(200, "", 0, 0), commands.Channel.CloseOk)
        self.connection.forget(self)

    def heard(self, method: int, payload: bytes) -> None:
        """A method of the server's."""
        if method in (frames.DELIVER, frames.RETURN):
            self.content.method(payload)
        elif method in (frames.ACK, frames.NACK):
            (tag,) = frames.tag_of(payload, 4)
            self.confirmed(tag, bool(payload[12] & 1), method == frames.ACK)
        elif method == frames.CANCEL:
            self.end(BrokerUnavailable(f"{self.connection!r} has ended a consumer: its queue was deleted or moved."))
        elif method == frames.FLOW:
            self.connection.write(frame.marshal(commands.Channel.FlowOk(active=bool(payload[4])), self.number))
        elif method == frames.CHANNEL_CLOSE:
            said = _decoded(payload, commands.Channel.Close)
            self.connection.write(frame.marshal(commands.Channel.CloseOk(), self.number))
            self.connection.forget(self)
            self.end(Refused(f"{self.connection!r} said {said.reply_text}.", said.reply_code or 0, said.reply_text))
        elif self._answers:
            future = self._answers.popleft()
            if not future.done():
                future.set_result(frame.unmarshal(_framed(payload))[2])  # type: ignore[arg-type]  # it is a method

    def _complete(self, method: bytes, properties: bytes, body: bytes) -> None:
        if method[3] == frames.DELIVER & 0xFF:
            self.delivered(method, properties, body)
        else:
            self.returned(method)

    def end(self, error: BrokerUnavailable) -> None:
        """Nothing more will come; whoever waits is told."""
        if self.lost is not None:
            return
        self.lost = error
        for future in self._answers:
            if not future.done():
                future.set_exception(error)
        self._answers.clear()
        self.ended(error)


class Connection(asyncio.Protocol):
    """One connection to a server; made by `connect`."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.lost: BrokerUnavailable | None = None
        self.blocked: str | None = None
        """Why the server takes no messages now, in its words."""
        self.version = ""
        self.alarmed: Callable[[], None] = _nothing
        self._channels: dict[int, Channel] = {}
        self._free: list[int] = []
        self._most_channels = 0
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._greeting: asyncio.Queue[Frame] | None = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._beat_seconds = 0.0
        self._beats: asyncio.TimerHandle | None = None
        self._silent = 0
        self._written = False

    def __repr__(self) -> str:
        return f"RabbitMQ at {self.address.shown}"

    @classmethod
    async def connect(cls, address: Address) -> Connection:
        """A connection that the server has let in. BrokerUnavailable says why not, within five seconds."""
        context = address.context()
        loop = asyncio.get_running_loop()
        connection = cls(address)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.create_connection(lambda: connection, address.host, address.port, ssl=context)
                await connection._greet()
        except BaseException as error:
            connection.abort("was left")
            if isinstance(error, TimeoutError):
                raise BrokerUnavailable(
                    f"What listens at {address.shown} did not answer as RabbitMQ does within {CONNECT_SECONDS} "
                    "seconds. Check the host and the port, and whether the server is well."
                ) from None
            if isinstance(error, ssl.SSLError):
                raise BrokerUnavailable(
                    f"TLS with {address.shown} failed: {error.reason or error}. Check that the port speaks TLS, and "
                    "the certificates of ca=, cert= and key=."
                ) from error
            if isinstance(error, OSError):
                raise BrokerUnavailable(
                    f"No RabbitMQ can be reached at {address.shown}: {error.strerror or error}. Start it, or check the "
                    "host and the port."
                ) from error
            raise
        return connection

    async def _greet(self) -> None:
        greeting = self._greeting
        assert greeting is not None
        self.write(frames.PROTOCOL)

        async def hear() -> Frame:
            if self.lost is not None and greeting.empty():
                raise self.lost
            found = await greeting.get()
            if type(found) is Frame and self.lost is not None:
                raise self.lost
            return found

        terms = await greet(self.address, hear, lambda method: self.write(frame.marshal(method, 0)))
        self.version, self._most_channels = terms.version, terms.channels
        self._greeting = None
        self._beat_seconds = terms.heartbeat_seconds / 2
        if self._beat_seconds:
            self._beats = asyncio.get_running_loop().call_later(self._beat_seconds, self._beat)

    # -- channels

    async def channel(self) -> Channel:
        """A new channel. Raises BrokerUnavailable, also while the server has stopped to listen to this connection."""
        if self.lost is not None:
            raise self.lost
        if self.blocked is not None:
            raise BrokerUnavailable(f"{self!r} takes nothing now: {self.blocked}.")
        number = self._free.pop() if self._free else len(self._channels) + 1
        if number > self._most_channels:
            raise BrokerUnavailable(f"{self!r} allows {self._most_channels} channels a connection, and all are in use.")
        channel = self._channels[number] = Channel(self, number)
        await channel.ask(commands.Channel.Open(), commands.Channel.OpenOk)
        return channel

    def forget(self, channel: Channel) -> None:
        """The channel has ended, and its number is free. Said again, it is not the end of who has that number now."""
        if self._channels.get(channel.number) is channel:
            del self._channels[channel.number]
            self._free.append(channel.number)

    # -- what comes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._silent = 0
        if self._rest:
            data = self._rest + data
        at, end, channels = 0, len(data), self._channels
        head_of, method_of = frames.head_of, frames.method_of
        while end - at >= frames.OVERHEAD:
            kind, number, size = head_of(data, at)
            if kind not in frames.KINDS:
                self._not_amqp(data[at:])
                return
            stop = at + 7 + size
            if stop >= end:
                break
            payload = data[at + 7 : stop]
            at = stop + 1
            channel = channels.get(number)
            if channel is not None:
                if kind == frames.METHOD:
                    channel.heard(method_of(payload)[0], payload)
                elif kind == frames.HEADER:
                    channel.content.header(payload)
                elif kind == frames.BODY:
                    channel.content.body(payload)
            elif kind == frames.METHOD and number == 0:
                self._heard(method_of(payload)[0], payload)
        self._rest = data[at:]

    def _heard(self, method: int, payload: bytes) -> None:
        if method == frames.CONNECTION_CLOSE:
            said = _decoded(payload, commands.Connection.Close)
            self.write(frame.marshal(commands.Connection.CloseOk(), 0))
            self._end(Refused(f"{self!r} said {said.reply_text}.", said.reply_code or 0, said.reply_text))
        elif method == frames.BLOCKED:
            self.blocked = _decoded(payload, commands.Connection.Blocked).reason
            self.alarmed()
        elif method == frames.UNBLOCKED:
            self.blocked = None
            self.alarmed()
        elif self._greeting is not None:
            self._greeting.put_nowait(_decoded(payload, Frame))
        else:  # the answer to our goodbye
            self._gone.set()

    def _not_amqp(self, data: bytes) -> None:
        beginning = data[:40].decode("ascii", "replace").split("\r", maxsplit=1)[0].strip()
        self.abort(f"does not speak AMQP 0-9-1: it began with {beginning!r}. Check the host and the port")

    # -- what goes

    def write(self, data: bytes) -> None:
        """Write frames."""
        if self._transport is not None and self.lost is None and not self._transport.is_closing():
            self._written = True
            self._transport.write(data)

    @property
    def writable(self) -> bool:
        """Whether what is written goes out soon."""
        return self._writable.is_set()

    async def drain(self) -> None:
        """Wait until what was written is mostly on its way."""
        await self._writable.wait()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _beat(self) -> None:
        """Twice in the time of a heartbeat: say that we live, and give up a server that was silent four times."""
        self._silent += 1
        if self._silent > 4:
            self.abort(f"was silent for {4 * self._beat_seconds:.0f} seconds")
            return
        if not self._written:
            self.write(frames.BEAT)
        self._written = False
        self._beats = asyncio.get_running_loop().call_later(self._beat_seconds, self._beat)

    # -- the end

    async def close(self) -> None:
        """Say goodbye and leave."""
        if self.lost is None:
            self.write(frame.marshal(commands.Connection.Close(200, "", 0, 0), 0))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._gone.wait()
        self.abort("was left")

    def abort(self, why: str) -> None:
        """Leave at once; `why` completes a sentence about the server."""
        self._end(BrokerUnavailable(f"{self!r} {why}."))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(BrokerUnavailable(f"The connection to {self!r} has ended{f': {exc}' if exc else ''}."))

    def _end(self, error: BrokerUnavailable) -> None:
        if self.lost is None:
            self.lost = error
        if self._beats is not None:
            self._beats.cancel()
        self._writable.set()
        self._gone.set()
        if self._greeting is not None:
            self._greeting.put_nowait(Frame())
        for channel in list(self._channels.values()):
            channel.end(error)
        self._channels.clear()
        if self._transport is not None:
            self._transport.close() if isinstance(error, Refused) else self._transport.abort()
            self._transport = None
        self.alarmed()


def _framed(payload: bytes) -> bytes:
    return b"\x01\x00\x00" + len(payload).to_bytes(4, "big") + payload + b"\xce"


def _decoded(payload: bytes, kind: type[F]) -> F:
    found: Any = frame.unmarshal(_framed(payload))[2]
    assert isinstance(found, kind)
    return found


def _nothing(*_: object) -> None:
    """Until somebody wants to know."""
