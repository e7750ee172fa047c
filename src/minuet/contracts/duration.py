"""Lengths of time as people write them: `"500ms"`, `"1s"`, `"2m"`, `"1h"`, `"7d"`."""

import re
from datetime import timedelta

from minuet.errors import DeclarationError

Duration = str | float | timedelta
"""A length of time: a number with its unit, seconds as a number, or a timedelta."""

_WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)").fullmatch
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_SECONDS = 1e11  # three thousand years: longer is a slip of the pen, and outlives datetime arithmetic


def seconds(duration: Duration) -> float:
    """The length in seconds, from 0 to some three thousand years; DeclarationError for anything else."""
    if isinstance(duration, timedelta):
        length: float = duration.total_seconds()
    elif isinstance(duration, str):
        written = _WRITTEN(duration.strip())
        if written is None:
            raise DeclarationError(
                f"{duration!r} is not a length of time. Write a number with one unit (ms, s, m, h or d), "
                'for example "500ms", "1s", "30m" or "7d".'
            )
        length = float(written[1]) * _UNIT_SECONDS[written[2]]
    elif type(duration) in (int, float):
        length = duration
    else:
        raise DeclarationError(
            f'{duration!r} is not a length of time. Give text such as "1s", seconds as a number, or a timedelta.'
        )
    if not 0 <= length <= _LONGEST_SECONDS:
        raise DeclarationError(f"{duration!r} is not a length of time: it is negative, or beyond three thousand years.")
    return float(length)
