"""Which workflow instance an event belongs to, and where its ids stand in an index."""

import re
from collections.abc import Mapping

from minuet.contracts.envelope import Envelope, read
from minuet.errors import EnvelopeRejected

_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def instance_of(envelope: Envelope) -> str:
    """The correlation id of an event; one that has none begins an instance of its own."""
    return envelope.correlationid or envelope.id


def belongs(correlation_id: str, headers: Mapping[str, str] | None, body: bytes | str) -> bool:
    """Whether these bytes are an event of the instance; bytes that are no event belong to none."""
    try:
        return instance_of(read(headers, body)) == correlation_id
    except EnvelopeRejected:
        return False


def shared_start(correlation_id: str) -> str | None:
    """How the ids begin that `identity.derive` made from this one: 12 hexadecimal digits. None if it is no UUID."""
    start = correlation_id.lower()
    return start[:14] if _UUID(start) else None
