"""The envelope: one event on its way, as a CloudEvent 1.0.2, in structured JSON and in binary mode.

Pure functions of bytes and headers. What is sent is valid; what is not valid is refused as EnvelopeRejected.
Reading has two paths that agree: a quick one for events as minuet writes them, and an exact one for all others.
"""

import binascii
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Literal

import msgspec

from minuet.contracts.attributes import (
    AttributeValue,
    check_extension,
    check_media_type,
    check_name,
    check_schema,
    check_source,
    check_text,
    check_time,
    is_json,
    read_time,
)
from minuet.errors import EnvelopeRejected

STRUCTURED = "application/cloudevents+json"
"""The media type of an event in structured JSON mode."""

_TEXTS = ("id", "type", "subject", "correlationid", "causationid", "traceparent", "tracestate", "partitionkey")
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


class Envelope(msgspec.Struct, frozen=True):
    """One event in transit: its CloudEvents attributes, and its data as bytes.

    `data` is the payload's JSON text where the datacontenttype is JSON (or None), else the raw bytes; b"" is no
    data. `time` is aware. What other producers add is in `extensions`.
    """

    id: str
    source: str
    type: str
    time: datetime | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    partitionkey: str | None = None
    extensions: dict[str, AttributeValue] = {}
    data: bytes = b""


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """An envelope as its JSON object, in the order of its members."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: str | datetime | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    partitionkey: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_json = msgspec.json.Decoder(msgspec.Raw).decode


def from_structured(body: bytes | str) -> Envelope:
    """Read an event in structured JSON mode; EnvelopeRejected with reason `undecodable` or `envelope`."""
    return _read_members(body)


def _read_members(body: bytes | str) -> Envelope:
    """The exact reading, member by member."""
    try:
        text = body if isinstance(body, str) else body.decode()
        members = _decode_members(text)
        values = {name: msgspec.json.decode(raw) for name, raw in members.items() if name != "data"}
    except msgspec.ValidationError:
        raise EnvelopeRejected("The body is JSON and not an object, so it is no CloudEvent.") from None
    except _UNREADABLE as error:
        raise EnvelopeRejected(f"The body is not JSON: {error}.", "undecodable") from None
    base64 = values.pop("data_base64", None)
    attributes: dict[str, object] = {}
    for name, value in values.items():
        check_name(name)
        if value is not None:
            attributes[name] = value
    raw = members.get("data")
    if raw is not None and base64 is not None:
        raise EnvelopeRejected("The event has both data and data_base64; a CloudEvent has one of them or none.")
    return _from_attributes(attributes, _data(raw, base64, attributes.get("datacontenttype")))


def _data(raw: msgspec.Raw | None, base64: object, datacontenttype: object) -> bytes:
    """The data of a structured event: JSON as its text, a string of another media type as UTF-8, base64 decoded."""
    if base64 is not None:
        try:
            if isinstance(base64, str):
                return binascii.a2b_base64(base64, strict_mode=True)
        except ValueError:
            pass
        raise EnvelopeRejected("The member data_base64 is not a string in base64 (RFC 4648).")
    if raw is None:
        return b""
    if not isinstance(datacontenttype, str) or is_json(datacontenttype):
        return bytes(raw)
    try:
        return msgspec.json.decode(raw, type=str).encode()
    except msgspec.DecodeError:
        raise EnvelopeRejected(
            f"The data is declared as {datacontenttype} and must then be a string or be in data_base64."
        ) from None


def _from_attributes(attributes: dict[str, object], data: bytes) -> Envelope:
    """Check every attribute and build the envelope; `attributes` is used up."""
    specversion = attributes.pop("specversion", None)
    if specversion != "1.0":
        raise EnvelopeRejected(
            "The attribute specversion is missing; it must be '1.0'."
            if specversion is None
            else f"The specversion is {specversion!r}; only '1.0' is understood."
        )
    for name in ("id", "source", "type"):
        if name not in attributes:
            raise EnvelopeRejected(f"The attribute {name} is missing; a CloudEvent must have one.")
    texts = {name: check_text(name, attributes.pop(name)) for name in _TEXTS if name in attributes}
    source = check_source(check_text("source", attributes.pop("source")))
    time = attributes.pop("time", None)
    datacontenttype = attributes.pop("datacontenttype", None)
    dataschema = attributes.pop("dataschema", None)
    return Envelope(
        id=texts["id"],
        source=source,
        type=texts["type"],
        time=None if time is None else read_time(time),
        subject=texts.get("subject"),
        datacontenttype=None
        if datacontenttype is None
        else check_media_type(check_text("datacontenttype", datacontenttype)),
        dataschema=None if dataschema is None else check_schema(check_text("dataschema", dataschema)),
        correlationid=texts.get("correlationid"),
        causationid=texts.get("causationid"),
        traceparent=texts.get("traceparent"),
        tracestate=texts.get("tracestate"),
        partitionkey=texts.get("partitionkey"),
        extensions={name: check_extension(name, value) for name, value in attributes.items()},
        data=data,
    )


def to_structured(envelope: Envelope) -> bytes:
    """Write an event in structured JSON mode. Data that is not JSON travels as data_base64."""
    check_envelope(envelope)
    data = envelope.data
    as_json = data and is_json(envelope.datacontenttype) and _is_json_text(data)
    body = _encode(
        _Wire(
            "1.0",
            envelope.id,
            envelope.source,
            envelope.type,
            envelope.time,
            envelope.subject,
            envelope.datacontenttype,
            envelope.dataschema,
            envelope.correlationid,
            envelope.causationid,
            envelope.traceparent,
            envelope.tracestate,
            envelope.partitionkey,
            msgspec.Raw(data) if as_json else msgspec.UNSET,
        )
    )
    further: dict[str, object] = dict(envelope.extensions)
    if data and not as_json:
        further["data_base64"] = binascii.b2a_base64(data, newline=False).decode()
    return body[:-1] + b"," + _encode(further)[1:] if further else body


def _is_json_text(data: bytes) -> bool:
    try:
        _decode_json(data if data.isascii() else data.decode())
    except _UNREADABLE:
        return False
    return True


def check_envelope(envelope: Envelope) -> None:
    """Refuse an envelope that would not be a valid CloudEvent."""
    for name in _TEXTS:
        value = getattr(envelope, name)
        if value is not None:
            check_text(name, value)
    check_source(envelope.source)
    if envelope.time is not None:
        check_time(envelope.time)
    if envelope.datacontenttype is not None:
        check_media_type(envelope.datacontenttype)
    if envelope.dataschema is not None:
        check_schema(envelope.dataschema)
    for name, value in envelope.extensions.items():
        check_name(name)
        if name in _Wire.__struct_fields__:
            raise EnvelopeRejected(f"{name} is an attribute of its own and cannot be an extension; set Envelope.{name}.")
        check_extension(name, value)


def to_binary(envelope: Envelope, prefix: str = "ce-") -> tuple[dict[str, str], bytes]:
    """Write an event in binary mode: headers and body.

    Attribute names get `prefix`; with "ce-" (HTTP, NATS, RabbitMQ) values are percent-encoded as the HTTP binding
    says, with any other ("ce_" for Kafka) they are plain text. The datacontenttype is the header `content-type`.
    """
    check_envelope(envelope)
    encode = _percent_encoded if prefix == "ce-" else str
    headers = {f"{prefix}specversion": "1.0"}
    for name in _Wire.__struct_fields__[1:-1]:
        value = getattr(envelope, name)
        if value is None or name == "datacontenttype":
            continue
        if isinstance(value, datetime):
            value = msgspec.to_builtins(value)
        headers[prefix + name] = encode(value)
    for name, value in envelope.extensions.items():
        headers[prefix + name] = encode(value) if isinstance(value, str) else str(value).lower()
    datacontenttype = envelope.datacontenttype or ("application/json" if envelope.data else None)
    if datacontenttype:
        headers["content-type"] = datacontenttype
    return headers, envelope.data


def from_binary(headers: Mapping[str, str], body: bytes | str, prefix: str = "ce-") -> Envelope:
    """Read an event in binary mode. Header names may be in any case; headers without the prefix are not its own.

    Extension values are strings: a header does not say their type.
    """
    decode = _percent_decoded if prefix == "ce-" else str
    attributes: dict[str, object] = {}
    datacontenttype = None
    for header, value in headers.items():
        header = header.lower()
        if header == "content-type":
            datacontenttype = value
        elif header.startswith(prefix):
            name = header[len(prefix) :]
            check_name(name)
            attributes[name] = decode(value)
    if datacontenttype is not None:
        attributes["datacontenttype"] = datacontenttype
    return _from_attributes(attributes, body.encode() if isinstance(body, str) else bytes(body))


def read(headers: Mapping[str, str] | None, body: bytes | str) -> Envelope:
    """Read an event in either mode: structured without headers or by content type, else binary ("ce-" or "ce_")."""
    if headers is None:
        return from_structured(body)
    names = {name.lower(): value for name, value in headers.items()}
    if names.get("content-type", "").strip().lower().startswith("application/cloudevents"):
        return from_structured(body)
    return from_binary(names, body, "ce_" if "ce_specversion" in names else "ce-")


_NOT_IN_HEADER = re.compile(r'[^\x21\x23\x24\x26-\x7e]')
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})|%")
_ESCAPED = re.compile(r"\\(.)")


def _percent_encoded(value: str) -> str:
    return _NOT_IN_HEADER.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), value)


def _percent_decoded(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    if "%" not in value:
        return value
    try:
        return _PERCENT.sub(lambda found: bytes([int(found[1], 16)]), value.encode()).decode()
    except (TypeError, UnicodeError):
        raise EnvelopeRejected(f"The header value {value!r} is not percent-encoded UTF-8.") from None


_TYPE = re.compile(r"(.+)\.v([1-9][0-9]{0,8})").fullmatch


@lru_cache(4096)
def split_type(type: str) -> tuple[str, int]:
    """The contract's name and version that an event's type speaks of; a type without a version is version 1."""
    named = _TYPE(type)
    return (named[1], int(named[2])) if named else (type, 1)


_UTC = timezone.utc
