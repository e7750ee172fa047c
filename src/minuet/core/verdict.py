"""What becomes of a failed attempt: tried again, and when, or given up, and why."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from minuet.errors import InvalidEmission, Rejected, UndeclaredEmission
from minuet.policies.retry import Retry


class Reason(StrEnum):
    """Why a delivery is a dead letter. A `Rejected` error brings a reason of its own, also one word."""

    RETRIES_EXHAUSTED = "retries_exhausted"
    """Every attempt that its retry policy grants has failed."""
    PERMANENT_ERROR = "permanent_error"
    """It failed with an error that `never=` declares to be permanent."""
    UNDECLARED_EMISSION = "undeclared_emission"
    """The reaction returned what its annotation does not allow."""
    INVALID_EMISSION = "invalid_emission"
    """The reaction returned an event whose data the event's own contract does not allow."""
    AT_MOST_ONCE = "at_most_once"
    """It failed, and its guarantee forbids a second attempt."""
    PROCESS_DIED = "process_died"
    """The processes that ran it died, as often as its retry policy grants."""
    UNEXPECTED_TYPE = "unexpected_type"
    """It came on a topic of this reaction and is an event of another type."""


class TryAgain(msgspec.Struct, frozen=True):
    """It failed, and is due again after this many seconds."""

    seconds: float


class GiveUp(msgspec.Struct, frozen=True):
    """It failed for good."""

    reason: str


def judge(
    error: BaseException, attempt: int, policy: Retry, never: tuple[type[BaseException], ...], chance: float
) -> TryAgain | GiveUp:
    """The verdict on attempt number `attempt` (the first is 1), which ended with `error`.

    Errors of the data and of the declaration are permanent: no retry heals them. `chance` from [0, 1) is the jitter.
    """
    if isinstance(error, Rejected):
        return GiveUp(error.reason)
    if isinstance(error, UndeclaredEmission):
        return GiveUp(Reason.UNDECLARED_EMISSION)
    if isinstance(error, InvalidEmission):
        return GiveUp(Reason.INVALID_EMISSION)
    if isinstance(error, never):
        return GiveUp(Reason.PERMANENT_ERROR)
    seconds = policy.delay(attempt, chance)
    return GiveUp(Reason.RETRIES_EXHAUSTED) if seconds is None else TryAgain(seconds)
