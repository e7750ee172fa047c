"""What CloudEvents 1.0.2 allows as an attribute: names, strings, URIs, timestamps, media types.

Each rule gives the value back, or says as EnvelopeRejected what is wrong with which attribute.
Source: "Naming Conventions", "Type System" and "Context Attributes" of the CloudEvents specification.
"""

import re
from datetime import datetime
from functools import lru_cache

import msgspec

from minuet.errors import EnvelopeRejected

AttributeValue = str | int | bool
"""What an extension attribute holds; binary values, URIs and timestamps travel as strings."""

LONGEST_BYTES = 1024
"""How much an id, a key or a correlation id may come to in UTF-8 where it is emitted. An index entry
of PostgreSQL has room for some 2,700 bytes: for two of these, and a reaction's name."""
SHORT = LONGEST_BYTES // 4
"""So many characters are not too long, whichever they are."""

# A control character, half of a surrogate pair, or a code point that Unicode will never assign.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
).search
_NAME = re.compile("[a-z0-9]+").fullmatch
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+").fullmatch
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:").match
_TOKEN = r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+"
_MEDIA_TYPE = re.compile(
    rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*"))*[ \t]*;?[ \t]*'
).fullmatch
_JSON_MEDIA_TYPE = re.compile(r"[^/;]+/(?:[^;]*\+)?json[ \t]*(?:;|$)", re.IGNORECASE).match
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
).fullmatch
_INTEGERS = range(-(2**31), 2**31)
_REMEMBERED = 128  # values found correct before; services repeat few of them
_KINDS: dict[type[object], str] = {
    bool: "a boolean",
    int: "a number",
    float: "a fraction",
    list: "an array",
    dict: "an object",
}


def check_name(name: str) -> str:
    """A name of lower-case ASCII letters and digits."""
    if not _NAME(name) or name == "data":
        raise EnvelopeRejected(
            f"The attribute name {name!r} is not allowed: a name is lower-case ASCII letters and digits, "
            "and 'data' is no attribute."
        )
    return name


def check_text(name: str, value: object) -> str:
    """A string that is not empty and holds no forbidden character."""
    if not isinstance(value, str):
        kind = _KINDS.get(type(value), type(value).__name__)
        raise EnvelopeRejected(f"The attribute {name} is {kind}, and must be a string.")
    if not value:
        raise EnvelopeRejected(f"The attribute {name} is empty; leave it out or give it a value.")
    return _allowed(name, value)


def check_extension(name: str, value: object) -> AttributeValue:
    """A string, a boolean, or a whole number of 32 bits."""
    if isinstance(value, str):
        return _allowed(name, value)
    if not isinstance(value, int):
        kind = _KINDS.get(type(value), type(value).__name__)
        raise EnvelopeRejected(
            f"The attribute {name} is {kind}; an extension is a string, a boolean or a whole number."
        )
    if value not in _INTEGERS:
        raise EnvelopeRejected(f"The attribute {name} is {value}, which is no whole number of 32 bits.")
    return value


def _allowed(name: str, value: str) -> str:
    if not value.isprintable() and (found := _FORBIDDEN(value)):
        raise EnvelopeRejected(f"The attribute {name} holds the character {found[0]!a}, which CloudEvents forbids.")
    return value


def check_length(name: str, value: str) -> str:
    """A string of at most LONGEST_BYTES, as everything has that is looked up."""
    if len(value) > SHORT and (size := len(value.encode("utf-8", "surrogatepass"))) > LONGEST_BYTES:
        raise EnvelopeRejected(
            f"{name} has {size:,} bytes in UTF-8, and at most {LONGEST_BYTES:,} can be looked up. Take something "
            "shorter that tells it from others, or a hash of it."
        )
    return value


@lru_cache(_REMEMBERED)
def check_source(source: str) -> str:
    """A URI reference (RFC 3986)."""
    if not _URI_REFERENCE(check_text("source", source)):
        raise EnvelopeRejected(f"The source {source!r} is no URI reference (RFC 3986); write for example '/payments'.")
    return source


@lru_cache(_REMEMBERED)
def check_schema(dataschema: str) -> str:
    """A URI with a scheme (RFC 3986)."""
    if not is_uri(check_text("dataschema", dataschema)):
        raise EnvelopeRejected(f"The dataschema {dataschema!r} is no URI with a scheme (RFC 3986).")
    return dataschema


def is_uri(text: str) -> bool:
    """Whether the text is a URI with a scheme, as far as its characters tell."""
    return _URI_REFERENCE(text) is not None and _SCHEME(text) is not None


@lru_cache(_REMEMBERED)
def check_media_type(datacontenttype: str) -> str:
    """A media type (RFC 2046), parameters included."""
    if not _MEDIA_TYPE(check_text("datacontenttype", datacontenttype)):
        raise EnvelopeRejected(
            f"The datacontenttype {datacontenttype!r} is no media type (RFC 2046) such as 'application/json'."
        )
    return datacontenttype


@lru_cache(_REMEMBERED)
def is_json(datacontenttype: str | None) -> bool:
    """Whether data of this media type is JSON: `*/json`, `*/*+json`, or no media type at all."""
    return datacontenttype is None or _JSON_MEDIA_TYPE(datacontenttype) is not None


def read_time(value: object) -> datetime:
    """An aware datetime from an RFC 3339 timestamp, rounded to microseconds.

    A leap second is refused like any other second that a datetime cannot hold.
    """
    text = check_text("time", value)
    if _TIMESTAMP(text):
        try:
            return msgspec.convert(text, datetime)
        except msgspec.ValidationError:
            pass  # a month 13 or the like, said below
    raise EnvelopeRejected(
        f"The time {text!r} is no moment in RFC 3339, which wants date, seconds and offset: '2011-12-09T12:50:00Z'."
    )


def check_time(time: datetime) -> datetime:
    """A datetime that says its offset from UTC."""
    if time.utcoffset() is None:
        raise EnvelopeRejected(f"The time {time.isoformat()} has no offset; give an aware one, best in UTC.")
    return time
