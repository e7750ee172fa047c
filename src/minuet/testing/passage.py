"""Which turns a test means: those at a point, of a reaction, with an outcome, and so on."""

from __future__ import annotations

import msgspec

from minuet.ports.observer import Outcome, Point, Turn


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """Turns that pass a point. None matches all; every word that is given must match.

    `reaction` is `service.reaction`. Two points tell of something else than a turn's reaction: at `PUBLISHED` it is
    `outbox` and the topic is that of the emitted event, at `ACKNOWLEDGED` it is the consumer group.
    """

    point: Point
    reaction: str | None = None
    outcome: Outcome | None = None
    topic: str | None = None
    key: str | None = None
    event_id: str | None = None
    emitted: bool | None = None
    """Whether the reaction emitted anything."""

    def matches(self, point: Point, turn: Turn) -> bool:
        """Whether this turn at this point is one of them."""
        return (
            point is self.point
            and self.reaction in (None, turn.reaction)
            and self.outcome in (None, turn.outcome)
            and self.topic in (None, turn.topic)
            and self.key in (None, turn.key)
            and self.event_id in (None, turn.event_id)
            and self.emitted in (None, turn.emitted > 0)
        )

    def __str__(self) -> str:
        words = [f"{name} {value}" for name, value in msgspec.structs.asdict(self).items() if value is not None]
        return ", ".join(words)
