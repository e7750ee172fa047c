"""The envelope of an event on its way: a CloudEvent 1.0.2, and every form in which it is written and read."""

import re
from collections.abc import Mapping
from functools import lru_cache

from minuet.contracts.binary import from_binary, to_binary
from minuet.contracts.cloudevent import Envelope
from minuet.contracts.structured import from_structured, to_structured
from minuet.contracts.writer import StructuredWriter
from minuet.errors import EnvelopeRejected

__all__ = [
    "STRUCTURED",
    "Envelope",
    "StructuredWriter",
    "from_binary",
    "from_structured",
    "read",
    "split_type",
    "to_binary",
    "to_structured",
]

STRUCTURED = "application/cloudevents+json"
"""The content type of an event in structured mode."""

_PREFIXES = ("ce-", "ce_", "cloudevents_", "cloudevents:")
_READABLE = ("application/cloudevents", STRUCTURED)
_VERSIONED = re.compile(r"(.+)\.v([1-9][0-9]{0,8})", re.DOTALL).fullmatch


def read(headers: Mapping[str, str] | None, body: bytes | str) -> Envelope:
    """Read one event in either mode; EnvelopeRejected if it is no CloudEvent.

    Structured without headers (None) or when the content type says so, binary otherwise, with whichever prefix
    the specversion has. Batches and formats other than JSON are refused.
    """
    if headers is None:
        return from_structured(body)
    names = {name.lower(): value for name, value in headers.items()}
    media_type = names.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in _READABLE:
        return from_structured(body)
    if media_type.startswith("application/cloudevents"):
        raise EnvelopeRejected(f"The content type {media_type} is not understood; {STRUCTURED} is.")
    prefix = next((prefix for prefix in _PREFIXES if f"{prefix}specversion" in names), "ce-")
    return from_binary(names, body, prefix)


@lru_cache(256)  # services meet few types, again and again
def split_type(event_type: str) -> tuple[str, int]:
    """The contract's name and version in an event's type: ("OrderPlaced", 2) in "OrderPlaced.v2".

    A type that names no version is version 1.
    """
    named = _VERSIONED(event_type)
    return (named[1], int(named[2])) if named else (event_type, 1)
