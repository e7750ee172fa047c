"""Binary mode: a CloudEvent as headers beside its data.

Sources: the HTTP, Kafka, NATS and AMQP bindings of CloudEvents 1.0.2.
"""

import re
from collections.abc import Mapping

import msgspec

from minuet.contracts.cloudevent import ATTRIBUTES, Envelope, check, envelope_of
from minuet.errors import EnvelopeRejected

_TO_ESCAPE = re.compile(r"[^!#$&-~]").sub  # blank, double quote, percent, and what is not printable ASCII
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})?").sub
_BACKSLASHED = re.compile(r"\\(.)").sub


def to_binary(envelope: Envelope, prefix: str = "ce-") -> tuple[dict[str, str], bytes]:
    """Headers and body of one event; EnvelopeRejected if it would be no valid CloudEvent.

    `prefix` stands before each attribute's name. With "ce-" (HTTP, NATS, RabbitMQ) values are percent-encoded,
    with any other ("ce_" for Kafka, "cloudEvents_" for AMQP) they are plain text. The datacontenttype is the
    header `content-type`, and JSON is named there even where the envelope leaves it out.
    """
    check(envelope)
    encode = _percent_encoded if prefix == "ce-" else str
    headers = {f"{prefix}specversion": "1.0"}
    for name in ATTRIBUTES:
        value: object = getattr(envelope, name)
        if value is not None and name != "datacontenttype":
            headers[prefix + name] = encode(_canonical(value))
    for name, extension in envelope.extensions.items():
        headers[prefix + name] = encode(_canonical(extension))
    media_type = envelope.datacontenttype or ("application/json" if envelope.data else None)
    if media_type:
        headers["content-type"] = media_type
    return headers, envelope.data


def from_binary(headers: Mapping[str, str], body: bytes | str, prefix: str = "ce-") -> Envelope:
    """Read one event; EnvelopeRejected with reason `envelope` if it is no CloudEvent.

    Header names may be in any case, and headers without the prefix are not the event's. An extension is always a
    string, because a header does not say its type. An empty body is no data.
    """
    decode = _percent_decoded if prefix == "ce-" else str
    start = prefix.lower()
    attributes: dict[str, object] = {}
    media_type: str | None = None
    for header, value in headers.items():
        name = header.lower()
        if name == "content-type":
            media_type = value
        elif name.startswith(start):
            attributes[name[len(start) :]] = decode(value)
    if media_type is not None and attributes.setdefault("datacontenttype", media_type) != media_type:
        raise EnvelopeRejected(
            f"The headers name two media types, {attributes['datacontenttype']!r} and {media_type!r}."
        )
    return envelope_of(attributes, body.encode() if isinstance(body, str) else body)


def _canonical(value: object) -> str:
    """The canonical string of an attribute: `true`, `42`, a timestamp in RFC 3339."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode().strip('"')


def _percent_encoded(value: str) -> str:
    return _TO_ESCAPE(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), value)


def _percent_decoded(value: str) -> str:
    """The value of a header: freed of double quotes first, as older senders put them, then of percents."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _BACKSLASHED(r"\1", value[1:-1])
    if "%" not in value:
        return value
    try:
        return _PERCENT(lambda found: bytes.fromhex(found[1].decode()), value.encode()).decode()
    except (AttributeError, UnicodeError):
        raise EnvelopeRejected(f"The header value {value!r} is no percent-encoded UTF-8.") from None
