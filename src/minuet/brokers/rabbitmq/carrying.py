"""A message as AMQP carries it, and back.

The body is the event. Beside it: the id as the property message_id, and as headers the source and what the queue is
chosen by, which is the key, or for a message without one its id or something random. A message of one body and no
headers, as minuet writes its events, has the content type of a structured CloudEvent. Whatever headers another message
has stand among AMQP's, its content type is AMQP's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from typing import Any

import msgspec
from pamqp.header import ContentHeader

from minuet.brokers.rabbitmq.frames import FRAME_BYTES, OVERHEAD, long, short
from minuet.errors import CapacityError
from minuet.ports.broker import Attributes, Delivery, Message

STRUCTURED = "application/cloudevents+json; charset=utf-8"
KEY, KEYLESS, SOURCE, ID = "minuet-key", "minuet-keyless", "minuet-source", "minuet-id"
OURS = frozenset({KEY, KEYLESS, SOURCE, ID})
COUNTED = frozenset({"x-delivery-count", "x-acquired-count"})
"""What a quorum queue adds to a message that comes again."""
LONGEST_PROPERTIES_BYTES = FRAME_BYTES - OVERHEAD - 12

_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE, _MESSAGE_ID = 1 << 15, 1 << 13, 1 << 12, 1 << 7
_flags = Struct(">H").pack
_length_at = Struct(">I").unpack_from
_EVENT = _flags(_CONTENT_TYPE | _HEADERS | _DELIVERY_MODE | _MESSAGE_ID) + short(STRUCTURED.encode())
"""How the properties of nearly every message begin."""
_START = 12 + len(_EVENT)
_PERSISTENT = b"\x02"


def _entry(name: str, value: bytes) -> bytes:
    return short(name.encode()) + b"S" + long(value)


_KEY = short(KEY.encode()) + b"S"
_SOURCE = short(SOURCE.encode()) + b"S"
_KEYLESS = _entry(KEYLESS, b"1")


@lru_cache(256)  # a process publishes for few services
def _source(source: str) -> bytes:
    return _entry(SOURCE, source.encode())


def properties_of(message: Message) -> bytes:
    """The properties of a message, as they stand in its frame. Raises CapacityError for what AMQP has no room for."""
    key, event_id, headers = message.key, message.id, message.headers
    table = _KEY + long(key.encode()) if key is not None else _keyless(event_id)
    if message.source is not None:
        table += _source(message.source)
    if headers is None and event_id is not None:
        identity = event_id.encode()
        if len(identity) < 256 and len(table) < 60000:
            return b"".join((_EVENT, long(table), _PERSISTENT, short(identity)))
    return _any_properties(message, table)


def _keyless(event_id: str | None) -> bytes:
    return _entry(KEY, event_id.encode() if event_id else os.urandom(8).hex().encode()) + _KEYLESS


def _any_properties(message: Message, table: bytes) -> bytes:
    headers = message.headers
    assert not isinstance(headers, Attributes), "columns are for a database"
    flags, parts = _HEADERS | _DELIVERY_MODE, list[bytes]()
    content_type = STRUCTURED if headers is None else headers.get("content-type")
    as_property = content_type is not None and len(content_type.encode()) < 256
    if headers is not None and (content_type == STRUCTURED or not as_property):
        as_property = False
    if as_property and content_type is not None:
        flags |= _CONTENT_TYPE
        parts.append(short(content_type.encode()))
    identity = None if message.id is None else message.id.encode()
    if identity is not None and len(identity) > 255:
        table += _entry(ID, identity)
        identity = None
    for name, value in (headers or {}).items():
        if name == "content-type" and as_property:
            continue
        octets = name.encode()
        if len(octets) > 255 or name in OURS:
            raise CapacityError(
                f"A message on {message.topic} has the header {name[:80]!r}, which AMQP has no room for or minuet has "
                "taken. Give it another name, of at most 255 bytes."
            )
        table += _entry(name, value.encode())
    parts += (long(table), _PERSISTENT)
    if identity is not None:
        flags |= _MESSAGE_ID
        parts.append(short(identity))
    properties = _flags(flags) + b"".join(parts)
    if len(properties) > LONGEST_PROPERTIES_BYTES:
        raise CapacityError(
            f"A message on {message.topic} has {len(properties)} bytes of key and headers, and AMQP has room for "
            f"{LONGEST_PROPERTIES_BYTES}. Put what is long into the body."
        )
    return properties


def delivery_of(topic: str, header: bytes, body: bytes, token: int) -> Delivery:
    """What came, from the payload of its properties' frame, and its body."""
    if header.startswith(_EVENT, 12):
        (length,) = _length_at(header, _START)
        at = _START + 4
        end = at + length
        key: str | None = None
        source: str | None = None
        while at < end:
            kind = at + 1 + header[at]
            if header[kind] != 83:  # no text: AMQP's, not ours
                break
            name = header[at : kind + 1]
            (length,) = _length_at(header, kind + 1)
            at = kind + 5 + length
            if name == _KEY:
                key = header[kind + 5 : at].decode()
            elif name == _SOURCE:
                source = header[kind + 5 : at].decode()
            else:
                break
        else:
            # After the table the mode of delivery, then the id with its length.
            return Delivery(topic, key, header[end + 2 : end + 2 + header[end + 1]].decode(), source, None, body, token)
    return _any_delivery(topic, header, body, token)


def _any_delivery(topic: str, header: bytes, body: bytes, token: int) -> Delivery:
    content = ContentHeader()
    content.unmarshal(header)
    properties = content.properties
    table: dict[str, Any] = dict(properties.headers or {})
    headers = {name: _text(value) for name, value in table.items() if name not in OURS and name not in COUNTED}
    content_type = properties.content_type
    structured = content_type == STRUCTURED and not headers
    if content_type is not None and content_type != STRUCTURED:
        headers.setdefault("content-type", content_type)
    key, event_id, source = table.get(KEY), table.get(ID, properties.message_id), table.get(SOURCE)
    return Delivery(
        topic,
        None if key is None or KEYLESS in table else _text(key),
        None if event_id is None else _text(event_id),
        None if source is None else _text(source),
        None if structured else headers,
        body,
        token,
    )


def _text(value: object) -> str:
    """A header's value as text, whoever wrote it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping | list):
        return msgspec.json.encode(value, enc_hook=str).decode()
    return msgspec.json.encode(value, enc_hook=str).decode().strip('"')
