"""Between rows of a PostgreSQL store and the port's values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from minuet.databases.json_columns import headers_of
from minuet.databases.postgres.encoding import given_back, kept
from minuet.databases.statements import load
from minuet.ports.broker import Message
from minuet.ports.store import Attempt, DeadLetter, DeadLetterHead, Parked, Standing

SQL = load("minuet.stores", "postgres.sql")
_history = msgspec.json.Decoder(tuple[Attempt, ...])


def body_in_two(body: bytes | str) -> tuple[str | None, bytes | None]:
    """A body as the columns `body` and `octets`: text is text, unless it has a NUL, which PostgreSQL's has not."""
    if isinstance(body, str):
        return (body, None) if "\0" not in body else (None, body.encode())
    return None, body


def own(text: str | None) -> str | None:
    """A name as its row keeps it, as it was."""
    return None if text is None else given_back(text)


def safe(text: str) -> str:
    """What somebody's error said, as PostgreSQL can keep it."""
    return kept(text.encode(errors="backslashreplace").decode())


def message_of(row: Sequence[Any]) -> Message:
    """topic, key, event_id, source, headers, body, octets"""
    topic, key, event_id, source, headers, body, octets = row
    carried = octets if body is None else body
    return Message(given_back(topic), own(key), own(event_id), own(source), headers_of(headers), carried)


def parked_of(row: Sequence[Any]) -> Parked:
    """id, consumer, topic, key, event_id, source, headers, body, octets, attempts, history, dead_letter"""
    number, consumer, topic, key, event_id, source, headers, body, octets, attempts, history, dead_letter = row
    return Parked(
        id=number, consumer=consumer, topic=given_back(topic), key=own(key), event_id=own(event_id), source=own(source),
        headers=headers_of(headers), body=octets if body is None else body, attempts=attempts,
        history=_history.decode(history), dead_letter=dead_letter,
    )  # fmt: skip


def begun(row: Sequence[Any]) -> Parked:
    """A parked delivery whose next attempt begins now."""
    parked = parked_of(row)
    return msgspec.structs.replace(parked, attempts=parked.attempts + 1)


def standing_of(row: Sequence[Any]) -> Standing:
    """As for `parked_of`, then state, due_at, settled_at"""
    return Standing(delivery=parked_of(row[:-3]), state=row[-3], due_at=row[-2], settled_at=row[-1])


def dead_letter_of(row: Sequence[Any]) -> DeadLetter:
    """The columns in the order of DeadLetter's fields, with `octets` after `body`."""
    body, octets = row[9:11]
    flat = (*row[:9], octets if body is None else body, *row[11:])
    values = dict(zip(DeadLetter.__struct_fields__, flat, strict=True))
    values["headers"] = headers_of(values["headers"])
    values["history"] = _history.decode(values["history"])
    return DeadLetter(**_as_they_were(values))


def head_of(row: Sequence[Any]) -> DeadLetterHead:
    """The columns in the order of DeadLetterHead's fields."""
    return DeadLetterHead(**_as_they_were(dict(zip(DeadLetterHead.__struct_fields__, row, strict=True))))


def _as_they_were(values: dict[str, Any]) -> dict[str, Any]:
    for name in ("topic", "key", "event_id", "source", "correlation_id", "type", "error", "trace"):
        if name in values:
            values[name] = own(values[name])
    return values
