"""Lengths of time as people write them."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.contracts.duration import seconds
from minuet.errors import DeclarationError


@pytest.mark.parametrize(
    ("written", "length"),
    [
        ("500ms", 0.5),
        ("1s", 1.0),
        ("1.5s", 1.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("7d", 604800.0),
        ("0s", 0.0),
        (" 1s ", 1.0),
        (3, 3.0),
        (0.25, 0.25),
        (timedelta(minutes=1, milliseconds=1), 60.001),
    ],
)
def test_a_length_is_understood(written, length) -> None:
    """A number with a unit, seconds as a number and a timedelta all say a length in seconds."""
    assert math.isclose(seconds(written), length)


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_units_grow(number, unit) -> None:
    """The same number of a larger unit is never shorter."""
    units = ["ms", "s", "m", "h", "d"]
    for larger in units[units.index(unit) :]:
        assert seconds(f"{number}{unit}") <= seconds(f"{number}{larger}")


WRONG = ["", "1", "s", "1 s", "-1s", "1w", "1S", "1h30m", "\u0661s", "1e3s", ".5s", "inf", "9" * 400 + "s"]


@pytest.mark.parametrize(
    "written",
    [*WRONG, True, None, b"1s", -1, math.nan, math.inf, timedelta(seconds=-1), 10**400],
    ids=lambda written: repr(written)[:20],
)
def test_what_is_no_length_is_refused(written) -> None:
    """Anything else, and anything negative or without end, is a DeclarationError that shows what was written."""
    with pytest.raises(DeclarationError, match="is not a length of time"):
        seconds(written)
