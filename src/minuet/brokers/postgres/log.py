"""The log's rows and messages, and how messages are appended to it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import cache
from typing import Any

import msgspec

from minuet.databases.json_columns import headers_of, headers_text, text_of
from minuet.databases.postgres.borrowed import Changed, Sending
from minuet.databases.postgres.encoding import floats, given_back, octets, texts
from minuet.databases.postgres.horizon import NOBODY
from minuet.databases.statements import load
from minuet.ports.broker import Attributes, Delivery, Group, Headers, Message, refuse_large

SQL = load("minuet.brokers", "postgres.sql")
_OLDEST = "pg_snapshot_xmin(pg_current_snapshot())"
LARGEST_BYTES = 1024 * 1024
"""The largest body."""
READ_AHEAD = 1024
"""How many deliveries a group keeps in memory before they are taken."""
_extensions = msgspec.json.Decoder(dict[str, str | int | bool])
_NO_ATTRIBUTES = (None, None, None, None, None)

Place = tuple[int, int]
"""Where a message stands in the log: its transaction, and its number."""


def row_of(m: Message) -> tuple[Any, ...]:
    """The columns of a message."""
    a, body = m.headers, m.body
    two = (body, None) if isinstance(body, str) and "\0" not in body else (None, _octets(body))
    if isinstance(a, Attributes):
        further = text_of(dict(a.extensions)) if a.extensions else None
        said = (a.type, a.at, a.correlationid, a.causationid, a.traceparent, further)
        return (m.topic, m.key, m.id, m.source, *said, *two)
    return (m.topic, m.key, m.id, m.source, *_NO_ATTRIBUTES, headers_text(a), *two)


def _octets(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


def delivery_of(row: Sequence[Any]) -> Delivery:
    """A row of the log, with its number after its columns."""
    topic, key, event_id, source, kind, at, correlation, causation, traceparent, further, body, each, seq = row[:13]
    headers: Headers
    if kind is not None:
        extensions = None if further is None else _extensions.decode(further)
        headers = Attributes(kind, at, correlation, causation, traceparent, extensions)
    else:
        headers = headers_of(further)
    return Delivery(
        given_back(topic),
        key and given_back(key),
        event_id and given_back(event_id),
        source and given_back(source),
        headers,
        each if body is None else body,
        seq,
    )


def place_of(row: Sequence[Any]) -> Place:
    """Where a row stands; its transaction follows its number."""
    return (row[13], row[12])


def group_of(row: Sequence[Any]) -> Group:
    """The group of a row that begins with its name, service and topics."""
    return Group(row[0], row[1], tuple(given_back(topic) for topic in row[2]))


def reading(name: str, elsewhere: str, *values: object) -> tuple[Any, ...]:
    """One of the statements that read the log, with its values; transactions that run `elsewhere` hold nothing back."""
    if elsewhere == NOBODY:
        return (SQL[name], *values)
    return (_past(name, len(values) + 1), *values, elsewhere)


@cache
def _past(name: str, number: int) -> str:
    assert _OLDEST in SQL[name]
    horizon = SQL["horizon"].replace("$elsewhere", f"${number}")
    return f"{horizon} {SQL[name].replace(_OLDEST, '(SELECT xid FROM horizon)')}"


def append(line: Sending, messages: Sequence[Message]) -> Awaitable[Changed]:
    """Append to the log, on minuet's own line with its next flight; changed are those that were not absorbed."""
    refuse_large(messages, LARGEST_BYTES)
    columns = list(zip(*map(row_of, messages), strict=True))
    return line.send(
        SQL["publish"],
        *map(texts, columns[:5]),
        floats(columns[5]),
        *map(texts, columns[6:11]),
        octets(columns[11]),
    )
