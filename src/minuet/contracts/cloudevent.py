"""The envelope as a value, and what makes one valid."""

from datetime import datetime

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
    read_time,
)
from minuet.errors import EnvelopeRejected


class Envelope(msgspec.Struct, frozen=True, gc=False):  # holds scalars only, so nothing can refer back to it
    """One event on its way: its CloudEvents attributes, and its data as bytes.

    `data` is the payload's JSON text if the datacontenttype is JSON (or None), else the raw bytes; b"" is no
    data. `time` is aware. Attributes that minuet does not know are in `extensions`.
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


REQUIRED = ("id", "source", "type")
ATTRIBUTES = tuple(name for name in Envelope.__struct_fields__ if name not in ("extensions", "data"))
"""The attributes with a field of their own; `specversion` is always "1.0"."""


def envelope_of(attributes: dict[str, object], data: bytes) -> Envelope:
    """The envelope of these attributes, every one of them checked; EnvelopeRejected says which is wrong."""
    specversion = attributes.get("specversion")
    if specversion is None:
        raise EnvelopeRejected("The attribute specversion is missing; it must be '1.0'.")
    if specversion != "1.0":
        raise EnvelopeRejected(f"The specversion is {specversion!r}; only '1.0' is understood.")
    for name in REQUIRED:
        if name not in attributes:
            raise EnvelopeRejected(f"The attribute {name} is missing; every CloudEvent has one.")
    text = {name: check_text(name, attributes[name]) for name in ATTRIBUTES if name in attributes}
    return Envelope(
        id=text["id"],
        source=check_source(text["source"]),
        type=text["type"],
        time=read_time(text["time"]) if "time" in text else None,
        subject=text.get("subject"),
        datacontenttype=check_media_type(text["datacontenttype"]) if "datacontenttype" in text else None,
        dataschema=check_schema(text["dataschema"]) if "dataschema" in text else None,
        correlationid=text.get("correlationid"),
        causationid=text.get("causationid"),
        traceparent=text.get("traceparent"),
        tracestate=text.get("tracestate"),
        partitionkey=text.get("partitionkey"),
        extensions={
            check_name(name): check_extension(name, value)
            for name, value in attributes.items()
            if name not in ATTRIBUTES and name != "specversion"
        },
        data=data,
    )


def check(envelope: Envelope) -> None:
    """Refuse, as EnvelopeRejected, an envelope that would be no valid CloudEvent."""
    for name in ATTRIBUTES:
        value = getattr(envelope, name)
        if name != "time" and (value is not None or name in REQUIRED):
            check_text(name, value)
    check_source(envelope.source)
    if envelope.time is not None:
        check_time(envelope.time)
    if envelope.datacontenttype is not None:
        check_media_type(envelope.datacontenttype)
    if envelope.dataschema is not None:
        check_schema(envelope.dataschema)
    for name, extension in envelope.extensions.items():
        if check_name(name) in ATTRIBUTES or name == "specversion":
            raise EnvelopeRejected(f"{name} is no extension; set the envelope's own {name}.")
        check_extension(name, extension)
