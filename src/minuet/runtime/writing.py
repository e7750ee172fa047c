"""From an event to the message that carries it."""

from __future__ import annotations

from datetime import UTC, datetime

from minuet.contracts.contract import Contract
from minuet.contracts.envelope import Envelope, to_binary, to_structured
from minuet.errors import PayloadTooLarge
from minuet.ports.broker import Capabilities, Message


class MessageWriter:
    """Writes one service's events in the form that its broker carries."""

    def __init__(self, service: str, capabilities: Capabilities) -> None:
        self._source = f"/{service}"
        self._structured = capabilities.envelope == "structured"
        self._largest = capabilities.max_payload_bytes

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

        Raises PayloadTooLarge when the broker would refuse it.
        """
        key = contract.key_of(event)
        envelope = Envelope(
            event_id, self._source, contract.type, datetime.fromtimestamp(at, UTC), None, "application/json", None,
            correlation_id, causation_id, traceparent, None, key, contract.extensions, contract.encode(event),
        )  # fmt: skip
        headers: dict[str, str] | None = None
        if self._structured:
            body = to_structured(envelope)
        else:
            headers, body = to_binary(envelope)
        if len(body) > self._largest:
            raise PayloadTooLarge(
                f"{contract.type} ({contract.place}) came to {len(body)} bytes, and the broker carries {self._largest}. "
                "Put the large part where both sides can reach it and send its address."
            )
        if headers is None:
            return Message(contract.topic, key, event_id, self._source, None, body.decode())
        return Message(contract.topic, key, event_id, self._source, headers, body)
