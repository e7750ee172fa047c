"""Messages as Kafka's records: a structured CloudEvent, with its id and source in headers beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minuet.contracts.envelope import STRUCTURED
from minuet.ports.broker import Headers, Message

Carried = Sequence[tuple[str, str | bytes | None]]

KIND, ID, SOURCE = "content-type", "ce_id", "ce_source"
"""The headers of an event as minuet writes it, in this order."""
OUR_ID, OUR_SOURCE = "minuet_id", "minuet_source"
"""Where id and source stand beside headers that are somebody's."""
BARE = "minuet_bare"
"""Says that there are no headers where an id or a source alone stands beside the bytes."""
_STRUCTURED = STRUCTURED.encode()
_KIND: tuple[str, str | bytes | None] = (KIND, _STRUCTURED)


def headers_of(message: Message) -> list[tuple[str, str | bytes | None]] | None:
    """The headers of a message on its way."""
    headers, event_id, source = message.headers, message.id, message.source
    if headers is None:
        if event_id is not None and source is not None:
            return [_KIND, (ID, event_id), (SOURCE, source)]
        if event_id is None and source is None:
            return None
        carried: list[tuple[str, str | bytes | None]] = [(BARE, "")]
    else:
        assert isinstance(headers, Mapping), "columns are for a log in the store's own database"
        carried = list(headers.items())
    if event_id is not None:
        carried.append((OUR_ID, event_id))
    if source is not None:
        carried.append((OUR_SOURCE, source))
    return carried


def read_headers(carried: Carried | None) -> tuple[str | None, str | None, Headers]:
    """The id, the source and the headers of a record."""
    if not carried:
        return None, None, None
    if len(carried) == 3 and carried[0] == _KIND and carried[1][0] == ID and carried[2][0] == SOURCE:
        return text_of(carried[1][1]), text_of(carried[2][1]), None
    headers = {name: text_of(value) or "" for name, value in carried}
    # A foreign event in binary mode says its id and source as Kafka's binding has it.
    event_id, source = headers.get(ID), headers.get(SOURCE)
    event_id, source = headers.pop(OUR_ID, event_id), headers.pop(OUR_SOURCE, source)
    return event_id, source, None if headers.pop(BARE, None) is not None else headers


def text_of(octets: str | bytes | None) -> str | None:
    """A key or a header as text; bytes that are no UTF-8 are shown as such."""
    if octets is None or isinstance(octets, str):
        return octets
    return octets.decode("utf-8", "backslashreplace")
