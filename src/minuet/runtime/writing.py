"""From an event to the message that carries it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from minuet.contracts.attributes import SHORT, check_length, check_text
from minuet.contracts.contract import Contract
from minuet.contracts.envelope import Envelope, to_binary
from minuet.contracts.writer import StructuredWriter
from minuet.errors import InvalidEmission, PayloadRejected, PayloadTooLarge
from minuet.ports.broker import Attributes, Capabilities, Headers, Message


class MessageWriter:
    """Writes one service's events in the form that its broker carries.

    Columns belong to a log in the store's own database; on its way through an outbox such an event is structured.
    """

    def __init__(self, service: str, capabilities: Capabilities, *, joined: bool) -> None:
        self._source = f"/{service}"
        form: Literal["structured", "binary", "columns"] = capabilities.envelope
        self._form = "structured" if form == "columns" and not joined else form
        self._largest = capabilities.max_payload_bytes
        self._structured: dict[Contract, StructuredWriter] = {}

    def write(
        self,
        contract: Contract,
        event: object,
        *,
        event_id: str,
        at: float,
        correlation_id: str,
        causation_id: str | None,
        traceparent: str | None,
    ) -> Message:
        """The message of an event of this contract; `at` is its time in seconds since 1970 UTC.

        Raises InvalidEmission when its contract does not allow its data, EnvelopeRejected when its key is too long or
        cannot be an attribute, PayloadTooLarge when the broker would refuse it.
        """
        data = _valid(contract, event)
        key = contract.key_of(event)
        if key is not None and len(key) > SHORT:
            check_length(f"The key of {contract.type} (declared at {contract.place})", key)
        if self._form == "columns":
            if key is not None and not (key and key.isascii() and key.isprintable()):
                check_text("partitionkey", key)
            headers: Headers = Attributes(
                contract.type, at, correlation_id, causation_id, traceparent, contract.extensions or None
            )
            body = data
        elif self._form == "structured":
            headers = None
            body = self._writer(contract).write(
                data,
                id=event_id,
                time=datetime.fromtimestamp(at, UTC),
                correlationid=correlation_id,
                causationid=causation_id,
                partitionkey=key,
                traceparent=traceparent,
            )
        else:
            envelope = Envelope(
                event_id, self._source, contract.type, datetime.fromtimestamp(at, UTC), None, "application/json", None,
                correlation_id, causation_id, traceparent, None, key, contract.extensions, data,
            )  # fmt: skip
            headers, body = to_binary(envelope)
        if len(body) > self._largest:
            raise PayloadTooLarge(
                f"{contract.type} ({contract.place}) came to {len(body)} bytes, and the broker carries "
                f"{self._largest}. Put the large part where both sides can reach it and send its address."
            )
        # Text where the body is text: the sqlite3 module binds it quicker than bytes.
        carried = body if self._form == "binary" else body.decode()
        return Message(contract.topic, key, event_id, self._source, headers, carried)

    def _writer(self, contract: Contract) -> StructuredWriter:
        writer = self._structured.get(contract)
        if writer is None:
            writer = self._structured[contract] = StructuredWriter(contract, self._source)
        return writer


def _valid(contract: Contract, event: object) -> bytes:
    """The event's data, which whoever takes it can read. No type checker sees every constraint, and no constructor."""
    try:
        data = contract.encode(event)
        contract.decode(data)
    except (PayloadRejected, TypeError, ValueError, OverflowError, RecursionError) as error:
        said = str(error).rstrip(".")
        raise InvalidEmission(
            f"{contract.type} (declared at {contract.place}) was not emitted, because nobody could read it: {said}. "
            "Give its fields values of their types."
        ) from error
    return data
