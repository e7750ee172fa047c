"""The quickest way from an event to the wire: a writer made once for each contract and source."""

from datetime import datetime

import msgspec

from minuet.contracts.attributes import check_source, check_text, check_time
from minuet.contracts.contract import Contract
from minuet.contracts.structured import Members, encode


class StructuredWriter:
    """Writes the events of one contract from one source in structured mode, without an Envelope between.

    The source is a URI reference such as "/payments", or EnvelopeRejected.
    """

    __slots__ = ("_extensions", "_source", "_type")

    def __init__(self, contract: Contract, source: str) -> None:
        self._type = contract.type
        self._source = check_source(source)
        extensions = encode(contract.extensions)
        self._extensions = b"," + extensions[1:] if contract.extensions else b""

    def write(  # one parameter for each attribute that differs between events
        self,
        data: bytes,
        *,
        id: str,  # the attribute's name
        time: datetime,
        correlationid: str,
        causationid: str | None = None,
        partitionkey: str | None = None,
        traceparent: str | None = None,
        tracestate: str | None = None,
    ) -> bytes:
        """The event of this JSON data as `to_structured` would write it.

        Raises EnvelopeRejected for an attribute that is not valid.
        """
        body = encode(
            Members(
                "1.0",
                time,
                self._type,
                self._source,
                id,
                "application/json",
                None,
                None,
                correlationid,
                causationid,
                traceparent,
                tracestate,
                partitionkey,
                msgspec.Raw(data),
            )
        )
        # One by one, which is quicker than `"" in (...)` by a sixth of the whole.
        none_is_empty = (
            id
            and correlationid
            and (causationid or causationid is None)
            and (partitionkey or partitionkey is None)
            and (traceparent or traceparent is None)
            and (tracestate or tracestate is None)
        )
        # Without an escape, a DEL or a character beyond ASCII, no attribute holds anything forbidden.
        if not none_is_empty or time.tzinfo is None or 92 in body or 127 in body or not body.isascii():
            check_time(time)
            for name, text in (
                ("id", id),
                ("correlationid", correlationid),
                ("causationid", causationid),
                ("partitionkey", partitionkey),
                ("traceparent", traceparent),
                ("tracestate", tracestate),
            ):
                if text is not None:
                    check_text(name, text)
        return body[:-1] + self._extensions if self._extensions else body
