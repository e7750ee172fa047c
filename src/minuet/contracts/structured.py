"""Structured mode: a CloudEvent as one JSON object.

Reading and writing take a quick path for events as minuet writes them and an exact one for everything else; where
the quick path cannot be sure, it hands over. Source: "JSON Event Format for CloudEvents - Version 1.0.2".
"""

import binascii
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from minuet.contracts.attributes import check_media_type, check_source, check_text, is_json, read_time
from minuet.contracts.cloudevent import Envelope, check, envelope_of
from minuet.errors import EnvelopeRejected

UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)
"""What msgspec raises for bytes that are not the JSON that it was asked for."""

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Read(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The members that the quick path reads, in the order in which they are written."""

    specversion: Literal["1.0"]
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    type: _Text
    source: str
    id: _Text
    datacontenttype: Literal["application/json"] | None = None
    subject: _Text | None = None
    correlationid: _Text | None = None
    causationid: _Text | None = None
    traceparent: _Text | None = None
    tracestate: _Text | None = None
    partitionkey: _Text | None = None
    data: msgspec.Raw = msgspec.Raw()


class Members(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The members as they are written. The time comes second, where the quick path looks at its text; the data
    is last, so that what precedes it is attributes alone.
    """

    specversion: Literal["1.0"]
    time: datetime | msgspec.UnsetType
    type: str
    source: str
    id: str
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    partitionkey: str | None = None
    data: object = msgspec.UNSET


class _OnlyTime(msgspec.Struct, gc=False):
    time: str | None = None


encode = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder(_Read).decode
_read_time_text = msgspec.json.Decoder(_OnlyTime).decode
_read_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_value = msgspec.json.Decoder().decode
_read_string = msgspec.json.Decoder(str).decode
_json = msgspec.json.Decoder(msgspec.Raw).decode

_BACKSLASH, _DELETE = ord("\\"), 0x7F
_TIME_SECOND = b'{"specversion":"1.0","time":"'  # then 27 characters, "2011-12-09T12:50:00.123456Z"


def from_structured(body: bytes | str) -> Envelope:
    """Read one event; EnvelopeRejected with reason `undecodable` (no JSON) or `envelope` (no CloudEvent)."""
    try:
        text = body.encode() if isinstance(body, str) else body
        read = _read(text)
        data = bytes(read.data)
        # Without an escape, a DEL or a character beyond ASCII, no attribute holds anything forbidden.
        if (_BACKSLASH in text or _DELETE in text or not text.isascii()) and not _plain_before(text, data):
            return _read_exactly(text)
        time = read.time
        if text[:29] != _TIME_SECOND or text[39:56:16] != b"TZ":
            # msgspec also takes a blank for the T and an offset without its colon; RFC 3339 does not.
            written = _read_time_text(text).time
            time = None if written is None else read_time(written)
    except UNREADABLE:
        return _read_exactly(body)
    return Envelope(
        read.id,
        check_source(read.source),
        read.type,
        time,
        read.subject,
        read.datacontenttype,
        None,
        read.correlationid,
        read.causationid,
        read.traceparent,
        read.tracestate,
        read.partitionkey,
        {},
        data,
    )


def _plain_before(text: bytes, data: bytes) -> bool:
    """Whether the data comes last and is UTF-8, and what precedes it has no escape, no DEL and no non-ASCII."""
    start = -1 - len(data)
    before = text[:start]
    if text[start:-1] != data or _BACKSLASH in before or _DELETE in before or not before.isascii():
        return False
    data.decode()
    return True


def _read_exactly(body: bytes | str) -> Envelope:
    """Read member by member."""
    try:
        text = body if isinstance(body, str) else body.decode()
        members = _read_members(text)
        values = {name: _read_value(raw) for name, raw in members.items() if name != "data"}
    except msgspec.ValidationError:
        raise EnvelopeRejected("The body is JSON and no object, so it is no CloudEvent.") from None
    except UNREADABLE as error:
        raise EnvelopeRejected(f"The body is no JSON: {error}.", "undecodable") from None
    attributes = {name: value for name, value in values.items() if value is not None}
    raw, base64 = members.get("data"), attributes.pop("data_base64", None)
    if raw is not None and base64 is not None:
        raise EnvelopeRejected("The event has both data and data_base64; a CloudEvent has at most one.")
    if base64 is not None:
        return envelope_of(attributes, _from_base64(base64))
    return envelope_of(attributes, b"" if raw is None else _content(raw, attributes.get("datacontenttype")))


def _from_base64(member: object) -> bytes:
    try:
        if isinstance(member, str):
            return binascii.a2b_base64(member, strict_mode=True)
    except ValueError:
        pass  # said below
    raise EnvelopeRejected("The member data_base64 is no string in base64 (RFC 4648).")


def _content(raw: msgspec.Raw, datacontenttype: object) -> bytes:
    """JSON data as its text, data of another media type as the UTF-8 of the string that holds it."""
    media_type = None if datacontenttype is None else check_text("datacontenttype", datacontenttype)
    if media_type is None or is_json(check_media_type(media_type)):
        return bytes(raw)
    try:
        return _read_string(raw).encode()
    except msgspec.DecodeError:
        raise EnvelopeRejected(f"The data is {media_type}, so it must be a string, or stand in data_base64.") from None


def to_structured(envelope: Envelope) -> bytes:
    """Write one event; EnvelopeRejected if it would be no valid CloudEvent.

    Data that is no JSON, whatever it is declared as, travels as data_base64.
    """
    if (
        envelope.datacontenttype != "application/json"
        or envelope.dataschema is not None
        or envelope.extensions
        or "" in (
            envelope.id,
            envelope.type,
            envelope.subject,
            envelope.correlationid,
            envelope.causationid,
            envelope.traceparent,
            envelope.tracestate,
            envelope.partitionkey,
        )
    ):  # fmt: skip
        return _write_exactly(envelope)
    time = envelope.time
    try:
        body = encode(
            Members(
                "1.0",
                msgspec.UNSET if time is None else time,
                envelope.type,
                check_source(envelope.source),
                envelope.id,
                "application/json",
                None,
                envelope.subject,
                envelope.correlationid,
                envelope.causationid,
                envelope.traceparent,
                envelope.tracestate,
                envelope.partitionkey,
                _json(envelope.data),
            )
        )
    except UNREADABLE:
        return _write_exactly(envelope)
    if _BACKSLASH in body or _DELETE in body or not body.isascii() or (time is not None and time.tzinfo is None):
        return _write_exactly(envelope)
    return body


def _write_exactly(envelope: Envelope) -> bytes:
    """Write after every attribute has been checked."""
    check(envelope)
    data = _json_text(envelope) if envelope.data else None
    written: dict[str, object] = {"specversion": "1.0"}
    for name in Members.__struct_fields__[1:-1]:
        value: object = getattr(envelope, name)
        if value is not None:
            written[name] = value
    written.update(envelope.extensions)
    if data is not None:
        written["data"] = data
    elif envelope.data:
        written["data_base64"] = binascii.b2a_base64(envelope.data, newline=False).decode()
    return encode(written)


def _json_text(envelope: Envelope) -> msgspec.Raw | None:
    """The data as JSON text, or None if it is none."""
    if not is_json(envelope.datacontenttype):
        return None
    try:
        return _json(envelope.data.decode())
    except UNREADABLE:
        return None
