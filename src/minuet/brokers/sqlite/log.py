"""The log's rows and messages, and how messages are appended to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from minuet.databases.json_columns import headers_of, headers_text, text_of
from minuet.databases.sqlite import Database
from minuet.databases.statements import load
from minuet.ports.broker import Attributes, Delivery, Group, Headers, Message, never_provisioned, refuse_large

SQL = load("minuet.brokers", "sqlite.sql")
LARGEST_BYTES = 1024 * 1024
"""The largest body."""
READ_AHEAD = 1024
"""How many deliveries a group keeps in memory before they are taken."""
_extensions = msgspec.json.Decoder(dict[str, str | int | bool])
_topics = msgspec.json.Decoder(tuple[str, ...])


def row_of(m: Message) -> tuple[object, ...]:
    """The columns of a message."""
    a = m.headers
    event = (m.topic, m.key, m.id, m.source)
    if isinstance(a, Attributes):
        further = text_of(dict(a.extensions)) if a.extensions else None
        return (*event, a.type, a.at, a.correlationid, a.causationid, a.traceparent, further, m.body)
    return (*event, None, None, None, None, None, headers_text(a), m.body)


def _plain_rows(messages: Sequence[Message]) -> list[tuple[object, ...]]:
    """The columns of those messages that have neither traceparent nor extensions, without these."""
    return [
        (m.topic, m.key, m.id, m.source, a.type, a.at, a.correlationid, a.causationid, m.body)
        for m in messages
        if isinstance(a := m.headers, Attributes) and a.traceparent is None and not a.extensions
    ]


def delivery_of(row: Sequence[Any]) -> Delivery:
    """A row of the log, with its number last."""
    topic, key, event_id, source, kind, at, correlation, causation, traceparent, further, body, seq = row
    headers: Headers
    if kind is not None:
        extensions = None if further is None else _extensions.decode(further)
        headers = Attributes(kind, at, correlation, causation, traceparent, extensions)
    else:
        headers = headers_of(further)
    return Delivery(topic, key, event_id, source, headers, body, seq)


def group_and_number(row: Sequence[Any]) -> tuple[Group, int]:
    """A group, and a number that was selected beside it."""
    name, service, topics, number = row
    return Group(name, service, _topics.decode(topics)), number


def append(connection: sqlite3.Connection, messages: Sequence[Message]) -> tuple[int, int]:
    """Append to the log. Returns the number before the first, and how many were absorbed as duplicates."""
    refuse_large(messages, LARGEST_BYTES)
    [(before,)] = connection.execute(SQL["last"]).fetchall()
    plain = _plain_rows(messages)
    if len(plain) == len(messages):
        inserted = connection.executemany(SQL["publish_plain"], plain).rowcount
    else:
        inserted = connection.executemany(SQL["publish"], [row_of(message) for message in messages]).rowcount
    return before or 0, len(messages) - inserted


def position_of(connection: sqlite3.Connection, group: Group, database: Database) -> int:
    """Up to which number the group has taken. Raises BrokerUnavailable for one that was never provisioned."""
    found = connection.execute(SQL["position"], (group.name,)).fetchone()
    if found is None:
        raise never_provisioned(group, f"SQLite at {database.path}")
    return int(found[0])
