"""The observer port: the points that bracket a turn.

The runtime passes each point once. Logs, metrics and traces are observers; so are the crash points and signals of
the tests. Adapters and reactions contain none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec


class Point(StrEnum):
    """Where a turn is. The order is that of a turn's life."""

    RECEIVED = "received"
    """A delivery came from the broker, or a parked one fell due."""
    DUPLICATE = "duplicate"
    """The inbox knows it: absorbed, nothing runs."""
    DECODED = "decoded"
    """Its bytes are an event of the version the reaction reads."""
    BEHIND = "behind"
    """An earlier delivery of its key is not settled: it waits in the store."""
    DECIDED = "decided"
    """The reaction returned, or failed."""
    FAILED = "failed"
    """It failed: the turn says whether it is tried again, and when, or is a dead letter, and why."""
    RECORDED = "recorded"
    """Its rows are written: state, inbox, outbox, parking, dead letter. Not committed yet."""
    COMMITTED = "committed"
    """The transaction that records it is durable."""
    PUBLISHED = "published"
    """What it emitted is with the broker."""
    ACKNOWLEDGED = "acknowledged"
    """The broker knows that it need not come again."""


class Outcome(StrEnum):
    """How a turn ended."""

    HANDLED = "handled"
    SKIPPED = "skipped"
    RETRY = "retry"
    DEAD = "dead"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What an observer is told of one turn: one delivery meeting one reaction."""

    reaction: str
    """`service.reaction`."""
    place: str
    """File and line of the reaction."""
    topic: str
    """The name of the event, without its version."""
    event_id: str | None
    """None for bytes that say no id."""
    correlation_id: str | None = None
    """The workflow instance; None before it is decoded."""
    key: str | None = None
    """What it is ordered by."""
    attempt: int = 1
    """Counts from 1."""
    outcome: Outcome | None = None
    """None before it is decided."""
    emitted: int = 0
    """How many events the reaction emitted."""
    retry_seconds: float | None = None
    """When the outcome is a retry: how long it waits."""
    reason: str | None = None
    """When it is a dead letter: why, in one word."""
    error: str | None = None
    """When it failed: the error's type and text."""


class Observer(Protocol):
    """Told of turns at the points that it asks for. It must be quick, and must not raise."""

    @property
    def points(self) -> frozenset[Point]:
        """The points it wants; read once, at startup, so that what nobody wants costs nothing."""
        ...

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        """These turns are at this point now. Before the commit there is one turn a call."""
        ...

    def trouble(self, where: str, error: BaseException) -> None:
        """The runtime itself met an error and goes on: a broker away, a transaction that failed. It tries again, unless
        the error is `NotRepeated`, which says what follows, or `StandsStill`, which waits for somebody to look.
        """
        ...
