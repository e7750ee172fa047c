"""From a delivery to the event that a reaction takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, cast

from minuet.contracts.contract import Contract
from minuet.contracts.envelope import Envelope, read, split_type
from minuet.core.verdict import Reason
from minuet.errors import PayloadRejected
from minuet.ports.broker import Attributes, Delivery, Message
from minuet.ports.store import Parked


class Arrival(NamedTuple):
    """A delivery that was understood."""

    event: object
    envelope: Envelope

    @property
    def correlation_id(self) -> str:
        """The instance the event belongs to; an event without one begins its own."""
        return self.envelope.correlationid or self.envelope.id


def envelope_of(subject: Delivery | Message | Parked) -> Envelope:
    """The CloudEvent that a message carries. Raises `Rejected` when it carries none."""
    headers = subject.headers
    if type(headers) is not Attributes:
        return read(headers, subject.body)  # type: ignore[arg-type]  # what is left after Attributes
    delivery = cast(Delivery, subject)
    body = delivery.body
    return Envelope(
        delivery.id or "", delivery.source or "", headers.type, datetime.fromtimestamp(headers.at, UTC), None,
        "application/json", None, headers.correlationid, headers.causationid, headers.traceparent, None, delivery.key,
        dict(headers.extensions) if headers.extensions else {}, body.encode() if isinstance(body, str) else body,
    )  # fmt: skip


class EventReader:
    """Reads deliveries as the versions of the contracts that one reaction takes."""

    def __init__(self, takes: Sequence[Contract]) -> None:
        self._exact = {contract.type: contract for contract in takes}
        self._names = {contract.name: contract for contract in takes}

    def read(self, subject: Delivery | Parked) -> Arrival:
        """Decode, check and upcast. Raises `Rejected` with its reason when the bytes are no event of these."""
        envelope = envelope_of(subject)
        contract = self._exact.get(envelope.type)
        if contract is not None:
            return Arrival(contract.decode(envelope.data), envelope)
        name, version = split_type(envelope.type)
        contract = self._names.get(name)
        if contract is None:
            taken = " or ".join(self._exact)
            raise PayloadRejected(
                f"The event says it is {envelope.type}; this reaction takes {taken}. It was published on a topic "
                "that is not its own.",
                Reason.UNEXPECTED_TYPE,
            )
        return Arrival(contract.read(version, envelope.data), envelope)
