"""Between rows of a SQLite store and the port's values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from minuet.databases.json_columns import headers_of, text_of
from minuet.databases.statements import load
from minuet.ports.broker import Message
from minuet.ports.store import Attempt, DeadLetter, DeadLetterHead, Parked, Standing

SQL = load("minuet.stores", "sqlite.sql")
_history = msgspec.json.Decoder(tuple[Attempt, ...])


def listings(texts: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Texts for a statement that compares with each of `:listed`, a JSON array, and with `:whole`, one text.

    Those with a NUL go one by one: the JSON functions of older SQLite versions end a text there.
    """
    yield text_of([text for text in texts if "\0" not in text]), None
    for text in texts:
        if "\0" in text:
            yield "[]", text


def message_of(row: Sequence[Any]) -> Message:
    """topic, key, event_id, source, headers, body"""
    topic, key, event_id, source, headers, body = row
    return Message(topic, key, event_id, source, headers_of(headers), body)


def parked_of(row: Sequence[Any]) -> Parked:
    """id, consumer, topic, key, event_id, source, headers, body, attempts, history, dead_letter"""
    number, consumer, topic, key, event_id, source, headers, body, attempts, history, dead_letter = row
    return Parked(
        id=number, consumer=consumer, topic=topic, key=key, event_id=event_id, source=source,
        headers=headers_of(headers), body=body, attempts=attempts,
        history=_history.decode(history), dead_letter=dead_letter,
    )  # fmt: skip


def begun(row: Sequence[Any]) -> Parked:
    """A parked delivery whose next attempt begins now."""
    parked = parked_of(row)
    return msgspec.structs.replace(parked, attempts=parked.attempts + 1)


def standing_of(row: Sequence[Any]) -> Standing:
    """As for `parked_of`, then state, due_at, settled_at, owner"""
    *parked, state, due_at, settled_at, owner = row
    return Standing(delivery=parked_of(parked), state=state, due_at=due_at, settled_at=settled_at, owner=owner)


def dead_letter_of(row: Sequence[Any]) -> DeadLetter:
    """The columns in the order of DeadLetter's fields."""
    values = dict(zip(DeadLetter.__struct_fields__, row, strict=True))
    values["headers"] = headers_of(values["headers"])
    values["history"] = _history.decode(values["history"])
    return DeadLetter(**values)


def head_of(row: Sequence[Any]) -> DeadLetterHead:
    """The columns in the order of DeadLetterHead's fields."""
    return DeadLetterHead(**dict(zip(DeadLetterHead.__struct_fields__, row, strict=True)))
