"""When a failed attempt is tried again: once at once, then with exponential backoff and full jitter."""

from typing import NamedTuple

from minuet.contracts.duration import Duration, seconds
from minuet.errors import DeclarationError

_DOUBLINGS_AT_MOST = 1000  # 2.0**1000 is still a float, and no backoff needs more


class Retry(NamedTuple):
    """How often, and after which waits, a reaction that failed is tried again.

    `times` counts retries, not attempts: with times=5 the sixth failure is the last. Waits are in seconds.
    """

    times: int
    first_seconds: float
    most_seconds: float

    def delay(self, attempt: int, chance: float) -> float | None:
        """Seconds to wait after `attempt` (counted from 1) failed, or None to give up.

        The first retry is immediate. The n-th delayed one waits `chance * min(most, first * 2**(n-1))`, with
        chance drawn evenly from [0, 1): full jitter, so that what failed together does not return together.
        """
        if attempt > self.times:
            return None
        if attempt <= 1:
            return 0.0
        ceiling = self.first_seconds * 2.0 ** min(attempt - 2, _DOUBLINGS_AT_MOST)
        return chance * min(self.most_seconds, ceiling)


NEVER = Retry(times=0, first_seconds=0.0, most_seconds=0.0)
"""Give up at the first failure."""


def retry(times: int = 5, first: Duration = "1s", most: Duration = "1m") -> Retry:
    """At most `times` retries: one at once, then after `first`, doubling up to `most`, each shortened by chance."""
    if type(times) is not int or times < 0:
        raise DeclarationError(f"retry(times={times!r}): the number of retries must be a whole number, 0 or more.")
    policy = Retry(times, seconds(first), seconds(most))
    if policy.first_seconds > policy.most_seconds:
        raise DeclarationError(
            f"retry(first={first!r}, most={most!r}): the first wait is longer than the longest. "
            "Swap them, or raise most."
        )
    return policy
