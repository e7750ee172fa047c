"""From a delivery to the event that a reaction takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec

from minuet.contracts.contract import Contract
from minuet.contracts.envelope import Envelope, read, split_type
from minuet.core.verdict import Reason
from minuet.errors import PayloadRejected
from minuet.ports.broker import Attributes, Delivery, Message
from minuet.ports.store import Parked


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A delivery that was understood: the event, and what a turn needs of its envelope."""

    event: object
    event_id: str
    correlation_id: str
    """The instance the event belongs to; an event without one begins its own."""
    causation_id: str | None
    traceparent: str | None
    key: str | None
    at: float | datetime | None
    """When it happened: seconds since 1970 UTC where it came in columns."""

    @property
    def time(self) -> datetime | None:
        """When it happened, as its producer said."""
        if self.at is None or isinstance(self.at, datetime):
            return self.at
        return datetime.fromtimestamp(self.at, UTC)


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


NOT_TAKEN = object()
"""An event on a shared topic that the reaction does not take."""


class EventReader:
    """Reads deliveries as the versions of the contracts that one reaction takes."""

    def __init__(self, takes: Sequence[Contract]) -> None:
        self._exact = {contract.type: contract for contract in takes}
        self._names = {contract.name: contract for contract in takes}
        self._shared = frozenset(contract.topic for contract in takes if contract.shares_topic)

    def read(self, subject: Delivery | Parked) -> Arrival:
        """Decode, check and upcast. Raises `Rejected` with its reason when the bytes are no event of these."""
        headers = subject.headers
        if type(headers) is Attributes:
            delivery = cast("Delivery", subject)
            event_id = delivery.id or ""
            return Arrival(
                self._event(headers.type, delivery.body, delivery.topic), event_id, headers.correlationid or event_id,
                headers.causationid, headers.traceparent, delivery.key, headers.at,
            )  # fmt: skip
        envelope = envelope_of(subject)
        return Arrival(
            self._event(envelope.type, envelope.data, subject.topic), envelope.id,
            envelope.correlationid or envelope.id, envelope.causationid, envelope.traceparent,
            envelope.partitionkey, envelope.time,
        )  # fmt: skip

    def _event(self, kind: str, data: bytes | str, topic: str) -> object:
        contract = self._exact.get(kind)
        if contract is not None:
            return contract.decode(data)
        name, version = split_type(kind)
        contract = self._names.get(name)
        if contract is None:
            if topic in self._shared:
                return NOT_TAKEN
            taken = " or ".join(self._exact)
            raise PayloadRejected(
                f"The event says it is {kind}; this reaction takes {taken}. It was published on a topic that is not "
                "its own.",
                Reason.UNEXPECTED_TYPE,
            )
        return contract.read(version, data)
