"""What CloudEvents 1.0.2 allows as an attribute: names, strings, URIs, timestamps, media types.

Every rule says what is wrong as EnvelopeRejected, in a sentence that names the attribute.
Source: sections "Naming Conventions", "Type System" and "Context Attributes" of the CloudEvents specification.
"""

import re
from datetime import datetime
from functools import lru_cache

import msgspec

from minuet.errors import EnvelopeRejected

AttributeValue = str | int | bool
"""What an extension attribute may hold here; binary, URIs and timestamps travel as strings."""

_NAME = re.compile("[a-z0-9]+").fullmatch
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
).search
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+").fullmatch
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:").match
_TOKEN = r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+"
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*"))*[ \t]*;?').fullmatch
_JSON_MEDIA_TYPE = re.compile(r"[^/]+/(?:[^;]*\+)?json[ \t]*(?:;|$)", re.IGNORECASE).match
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
).fullmatch
_INTEGERS = range(-(2**31), 2**31)
_KNOWN_CORRECT = 1024  # bounds the memory of values seen before; services repeat few of them


def check_name(name: str) -> None:
    """Refuse an attribute name that is not lower-case ASCII letters and digits, or that names the data."""
    if not _NAME(name) or name == "data":
        raise EnvelopeRejected(
            f"The attribute name {name!r} is not allowed: CloudEvents names are lower-case ASCII letters and digits, "
            "and 'data' is reserved."
        )


def check_text(name: str, value: object) -> str:
    """The value as a non-empty string without control characters, unpaired surrogates or noncharacters."""
    if not isinstance(value, str):
        raise EnvelopeRejected(f"The attribute {name} must be a string and is {_kind(value)}.")
    if not value:
        raise EnvelopeRejected(f"The attribute {name} is empty; leave it out or give it a value.")
    if _FORBIDDEN(value):
        raise EnvelopeRejected(f"The attribute {name} holds a character that CloudEvents forbids: {value!r}.")
    return value


def check_extension(name: str, value: object) -> AttributeValue:
    """The value as a string, a boolean, or a whole number of 32 bits."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value not in _INTEGERS:
            raise EnvelopeRejected(f"The attribute {name} is {value}, which does not fit the 32 bits of an integer.")
        return value
    if not isinstance(value, str):
        raise EnvelopeRejected(
            f"The attribute {name} is {_kind(value)}; an extension is a string, a boolean or a whole number."
        )
    if _FORBIDDEN(value):
        raise EnvelopeRejected(f"The attribute {name} holds a character that CloudEvents forbids: {value!r}.")
    return value


@lru_cache(_KNOWN_CORRECT)
def check_source(source: str) -> str:
    """The source as a URI reference (RFC 3986)."""
    if not _URI_REFERENCE(check_text("source", source)):
        raise EnvelopeRejected(f"The source {source!r} is not a URI reference (RFC 3986); write for example '/payments'.")
    return source


@lru_cache(_KNOWN_CORRECT)
def check_schema(dataschema: str) -> str:
    """The dataschema as a URI with a scheme (RFC 3986)."""
    if not _URI_REFERENCE(check_text("dataschema", dataschema)) or not _SCHEME(dataschema):
        raise EnvelopeRejected(f"The dataschema {dataschema!r} is not an absolute URI (RFC 3986).")
    return dataschema


@lru_cache(_KNOWN_CORRECT)
def check_media_type(datacontenttype: str) -> str:
    """The datacontenttype as a media type (RFC 2046), parameters included."""
    if not _MEDIA_TYPE(check_text("datacontenttype", datacontenttype)):
        raise EnvelopeRejected(
            f"The datacontenttype {datacontenttype!r} is not a media type (RFC 2046) such as 'application/json'."
        )
    return datacontenttype


@lru_cache(_KNOWN_CORRECT)
def is_json(datacontenttype: str | None) -> bool:
    """Whether data of this media type is JSON: `*/json`, `*/*+json`, or none given."""
    return datacontenttype is None or _JSON_MEDIA_TYPE(datacontenttype) is not None


def read_time(time: object) -> datetime:
    """The time as an aware datetime, from an RFC 3339 timestamp with seconds and offset; finer than a microsecond
    is rounded. A leap second, which Python cannot hold, is refused as such."""
    text = check_text("time", time)
    if _TIMESTAMP(text):
        try:
            return msgspec.convert(text, datetime)
        except msgspec.ValidationError:
            pass
    raise EnvelopeRejected(
        f"The time {text!r} is not a timestamp that can be kept; RFC 3339 wants date, seconds and offset, "
        "for example '2011-12-09T12:50:00Z'."
    )


def check_time(time: datetime) -> datetime:
    """The time, refused when it does not say its offset from UTC."""
    if time.tzinfo is None:
        raise EnvelopeRejected(f"The time {time.isoformat()} has no offset; give an aware datetime, best in UTC.")
    return time


def _kind(value: object) -> str:
    return {type(None): "null", bool: "a boolean", int: "a number", float: "a fraction", list: "an array", dict: "an object"}.get(
        type(value), f"a {type(value).__name__}"
    )
