"""The log: what is rare and matters, in one line each, through the standard library's logging."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from minuet.errors import NotRepeated, StandsStill
from minuet.ports.observer import Outcome, Point, Turn

logger = logging.getLogger("minuet")


class LogObserver:
    """Logs retries, dead letters and trouble; with `verbose`, every turn."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._points = frozenset({Point.DECIDED if verbose else Point.FAILED})

    @property
    def points(self) -> frozenset[Point]:
        return self._points

    def at(self, point: Point, turns: Sequence[Turn]) -> None:  # noqa: ARG002  # it asks for one point only
        for turn in turns:
            self._log(turn)

    def _log(self, turn: Turn) -> None:
        known = [turn.reaction, turn.topic, turn.event_id or "(an event without a readable id)"]
        instance = [] if turn.correlation_id is None else [f"(instance {turn.correlation_id})"]
        about = " ".join([*known, *instance])
        match turn.outcome:
            case Outcome.RETRY:
                logger.warning(
                    "%s: attempt %d failed with %s; again in %.3f s. Declared at %s.",
                    about, turn.attempt, clause(turn.error), turn.retry_seconds or 0.0, turn.place,
                )  # fmt: skip
            case Outcome.DEAD:
                logger.error(
                    "%s: dead letter, %s, after %d attempts: %s. Declared at %s. Look with `minuet dlq`.",
                    about, turn.reason, turn.attempt, clause(turn.error), turn.place,
                )  # fmt: skip
            case _:
                if self._verbose:
                    logger.info("%s: %s, %d emitted", about, turn.outcome, turn.emitted)

    def trouble(self, where: str, error: BaseException) -> None:
        if isinstance(error, NotRepeated | StandsStill):
            logger.error("While %s: %s.", where, clause(str(error)))
            return
        said = clause(f"{type(error).__qualname__}: {error}")
        logger.error("While %s: %s. Nothing is lost; trying again.", where, said)


def clause(error: str | None) -> str:
    """An error's text as a part of a sentence: without its own full stop, and only the kind of one without a text."""
    return (error or "an error without a name").rstrip().removesuffix(".").removesuffix(":")
