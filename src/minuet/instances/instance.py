"""An instance as a value: its events, what each reaction did with them, and what is still awaited."""

from typing import Literal, TypeAlias

from msgspec import Struct

from minuet.choreography.awaited import State
from minuet.ports.store import Attempt

HandlingState: TypeAlias = Literal[
    "handled", "retrying", "waiting_behind", "running", "dead_letter", "discarded", "awaited"
]
"""`handled` includes what a predicate skipped. `awaited` was not taken yet, or taken and not begun."""


class Handling(Struct, frozen=True, kw_only=True):
    """One reaction and one event that it takes."""

    reaction: str
    """`service.reaction`."""
    state: HandlingState
    attempts: int
    """How many attempts are known to have begun."""
    due_at: float | None = None
    """When it is retrying: when the next attempt is due, in seconds since 1970 UTC."""
    reason: str | None = None
    """When it is a dead letter: why, in one word."""
    error: str | None = None
    """The last error."""
    dead_letter: int | None = None
    """The dead letter's number, also once it was redriven."""
    history: tuple[Attempt, ...] = ()
    """The failed attempts, while they are known."""
    emitted: tuple[str, ...] = ()
    """Ids of the events that it emitted."""


class InstanceEvent(Struct, frozen=True, kw_only=True):
    """One event of the instance."""

    id: str
    type: str
    service: str
    """Who emitted it; for a foreign event its source as it came."""
    at: float | None
    """When, in seconds since 1970 UTC; None if it does not say."""
    offset_seconds: float | None
    """How long after the instance's first event."""
    key: str | None
    causation_id: str | None
    emitted_by: str | None
    """The reaction that emitted it; None for what came from outside of any, or from one that is not known."""
    owed: bool
    """Whether it still lies in the outbox and the broker does not have it."""
    handlings: tuple[Handling, ...]


class Wait(Struct, frozen=True, kw_only=True):
    """Something that the instance still waits for."""

    sentence: str
    """What, from whom, and why."""
    reaction: str
    event_id: str
    since: float | None
    """Since when, in seconds since 1970 UTC: the time of the event that is to be handled."""
    given_up: bool
    """Whether nobody is at work on it: it is a dead letter."""


class Instance(Struct, frozen=True, kw_only=True):
    """All events of one correlation id, in the order of their publishing."""

    correlation_id: str
    workflow: str | None
    """The lens that its events start, None without one."""
    state: State
    late: bool
    """Whether it has not ended and has taken longer than its workflow allows."""
    began_at: float | None
    last_at: float | None
    """The first and the last event, in seconds since 1970 UTC."""
    ended_with: tuple[str, ...]
    possible_ends: tuple[str, ...]
    """The workflow's ends that what is awaited may still lead to."""
    awaited: tuple[Wait, ...]
    events: tuple[InstanceEvent, ...]
