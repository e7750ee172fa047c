"""AMQP 0-9-1 on the wire: the frames of published messages, of deliveries and of acknowledgements.

These are as many as there are messages, and written and read here by hand; all others go through pamqp, which takes
ten times as long. Decision 15 has the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from struct import Struct

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
KINDS = (METHOD, HEADER, BODY, HEARTBEAT)
END = 0xCE
PROTOCOL = b"AMQP\x00\x00\x09\x01"
BEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
FRAME_BYTES = 131072
"""The largest frame that is agreed on, as RabbitMQ suggests."""
OVERHEAD = 8
"""What a frame has around its payload."""

# Class and method, as one number.
DELIVER, RETURN, ACK, NACK = 60 << 16 | 60, 60 << 16 | 50, 60 << 16 | 80, 60 << 16 | 120
CANCEL, FLOW, CHANNEL_CLOSE = 60 << 16 | 30, 20 << 16 | 20, 20 << 16 | 40
CONNECTION_CLOSE, BLOCKED, UNBLOCKED = 10 << 16 | 50, 10 << 16 | 60, 10 << 16 | 61

head_of = Struct(">BHI").unpack_from
method_of = Struct(">I").unpack_from
tag_of = Struct(">Q").unpack_from
size_of = Struct(">Q").unpack_from
_head = Struct(">BHI").pack
_content_head = Struct(">BHIHHQ").pack
_acknowledgement = Struct(">BHIIQBB").pack
_number = Struct(">I").pack


def short(text: bytes) -> bytes:
    """A string of at most 255 bytes, with its length before it."""
    return bytes((len(text),)) + text


def long(data: bytes) -> bytes:
    """Bytes with their length before them."""
    return _number(len(data)) + data


def publishing(channel: int, exchange: str, routing_key: str) -> bytes:
    """The frame that begins a message: mandatory, so that the server says of one that reaches nobody."""
    method = b"\x00\x3c\x00\x28\x00\x00" + short(exchange.encode()) + short(routing_key.encode()) + b"\x01"
    return _head(METHOD, channel, len(method)) + method + b"\xce"


def content(channel: int, properties: bytes, body: bytes) -> bytes:
    """The frames of a message's properties and body."""
    size = len(body)
    header = _content_head(HEADER, channel, 12 + len(properties), 60, 0, size) + properties
    if size <= FRAME_BYTES - OVERHEAD:
        if not size:
            return header + b"\xce"
        return b"%b\xce%b%b\xce" % (header, _head(BODY, channel, size), body)
    parts = [header, b"\xce"]
    for start in range(0, size, FRAME_BYTES - OVERHEAD):
        part = body[start : start + FRAME_BYTES - OVERHEAD]
        parts += (_head(BODY, channel, len(part)), part, b"\xce")
    return b"".join(parts)


def acknowledging(channel: int, tag: int, *, multiple: bool) -> bytes:
    """The frame that acknowledges one delivery, or with `multiple` all up to it."""
    return _acknowledgement(METHOD, channel, 13, ACK, tag, multiple, END)


class Content:
    """Puts the frames of one channel's incoming messages together; each is handed over when it is complete."""

    __slots__ = ("_body", "_complete", "_left", "_method", "_properties")

    def __init__(self, complete: Callable[[bytes, bytes, bytes], None]) -> None:
        self._complete = complete
        """Is given the method's frame, the payload of the properties' frame, and the body."""
        self._method = self._properties = b""
        self._body: list[bytes] = []
        self._left = 0

    def method(self, payload: bytes) -> None:
        """A message begins."""
        self._method = payload

    def header(self, payload: bytes) -> None:
        """Its properties, and how many bytes will follow."""
        self._properties = payload
        (self._left,) = size_of(payload, 4)
        if not self._left:
            self._complete(self._method, payload, b"")

    def body(self, payload: bytes) -> None:
        """Some of its body, or all."""
        left = self._left = self._left - len(payload)
        if not left:
            if self._body:
                self._body.append(payload)
                payload, self._body = b"".join(self._body), []
            self._complete(self._method, self._properties, payload)
        else:
            self._body.append(payload)


def routing_key_of(method: bytes) -> tuple[int, bytes]:
    """The tag and the routing key of a delivery: its consumer, tag, redelivered, exchange and routing key."""
    at = 5 + method[4]
    (tag,) = tag_of(method, at)
    at += 10 + method[at + 9]
    return tag, method[at + 1 :]


def returned(method: bytes) -> bytes:
    """The routing key of a message that was returned: after the code, the text and the exchange."""
    at = 7 + method[6]
    at += 1 + method[at]
    return method[at + 1 :]


def windows(parts: Sequence[bytes], most_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Few long pieces instead of many short ones, each with how many it is made of."""
    piece: list[bytes] = []
    size = 0
    for part in parts:
        piece.append(part)
        size += len(part)
        if size >= most_bytes:
            yield b"".join(piece), len(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece), len(piece)
