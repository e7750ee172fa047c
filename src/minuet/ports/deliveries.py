"""What a store keeps of deliveries that are not done with: parked ones, dead letters, and what is owed."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from minuet.ports.broker import Message


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One failed attempt: when (seconds since 1970 UTC) and with which error."""

    at: float
    error: str


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that a store keeps for one consumer until it is settled."""

    id: int
    """The store's number; within a consumer and key it is the order. 0 before it is parked."""
    consumer: str
    """`service.reaction`."""
    topic: str
    key: str | None
    event_id: str | None
    source: str | None
    headers: Mapping[str, str] | None
    body: bytes | str
    attempts: int = 0
    """How many attempts have begun."""
    history: tuple[Attempt, ...] = ()
    dead_letter: int | None = None
    """The dead letter that it was redriven from."""


State = Literal["due", "behind", "running", "held", "handled", "dead"]
"""`due` at its instant, `behind` an older one of its key, `running` outside a transaction, `held` as a dead letter for
which its key waits; `handled` and `dead` ones are settled."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A parked delivery, and how it stands."""

    delivery: Parked
    """`attempts` are those that have begun, and counts none that is still to begin."""
    state: State
    due_at: float | None
    settled_at: float | None
    owner: str | None = None
    """The process in which it runs, where the store tells; None for one that does not run."""


class ParkedFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which parked deliveries; every given word must match."""

    event_ids: tuple[str, ...] | None = None
    consumer: str | None = None
    """`service.reaction`."""
    key: str | None = None
    unsettled: bool = False
    """Only those that are not settled yet."""
    states: tuple[State, ...] | None = None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery given up on."""

    id: int
    consumer: str
    topic: str
    key: str | None
    event_id: str | None
    source: str | None
    correlation_id: str | None
    type: str | None
    headers: Mapping[str, str] | None
    body: bytes | str
    """The original bytes."""
    reason: str
    error: str
    trace: str
    attempts: int
    history: tuple[Attempt, ...]
    at: float
    """When it died, seconds since 1970 UTC."""
    state: Literal["open", "redriven", "resolved", "discarded"] = "open"
    difference: str | None = None
    """What an edit changed, as a unified difference, when it was last redriven edited."""
    because: str | None = None
    """Why it was discarded, in the words of whoever did."""


def handed_back(letter: DeadLetter, *, id: int = 0) -> Parked:
    """The delivery that a letter was made of, to be tried anew. `id` is its number where it is parked still."""
    return Parked(
        id=id, consumer=letter.consumer, topic=letter.topic, key=letter.key, event_id=letter.event_id,
        source=letter.source, headers=letter.headers, body=letter.body, dead_letter=letter.id,
        history=letter.history,
    )  # fmt: skip


class DeadLetterHead(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter without its bytes, trace and history: enough to list, count and choose."""

    id: int
    consumer: str
    topic: str
    key: str | None
    event_id: str | None
    correlation_id: str | None
    type: str | None
    reason: str
    error: str
    attempts: int
    at: float
    state: Literal["open", "redriven", "resolved", "discarded"]


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters; every given word must match."""

    state: Literal["open", "redriven", "resolved", "discarded"] | None = "open"
    consumer: str | None = None
    """`service` or `service.reaction`."""
    topic: str | None = None
    reason: str | None = None
    correlation_id: str | None = None
    key: str | None = None
    ids: tuple[int, ...] | None = None
    event_ids: tuple[str, ...] | None = None


LEASE_SECONDS = 30.0
"""How long a relay holds what it publishes, when it says nothing else. Longer than a publish takes."""
CLAIM_BYTES = 2 * 1024 * 1024
"""How much the bodies of what it claims together come to, when it says nothing else."""


class Owed(msgspec.Struct, frozen=True):
    """An outbox row."""

    id: int
    """The store's number; the order of owing."""
    message: Message
    at: float
    """When it was owed, seconds since 1970 UTC."""
    claim: str = ""
    """By which claim it is held, if it was claimed."""
