"""Time, identity and chance, as the runtime asks for them.

The pure half of minuet is given instants, ids and numbers; only the runtime asks for them, here, so that a
simulator can answer instead of the machine.
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Where instants come from."""

    def now(self) -> float:
        """The wall clock in seconds since 1970-01-01 UTC."""
        ...


class Ids(Protocol):
    """Where the id of an event that nothing caused comes from."""

    def new(self) -> str:
        """A UUIDv7 in its string form: unique, and near in order to those made near in time."""
        ...


class Chance(Protocol):
    """Where jitter comes from."""

    def random(self) -> float:
        """A number from [0, 1)."""
        ...
