"""How fast something may go."""

import pytest

from minuet import DeclarationError
from minuet.core.pace import interval_seconds


@pytest.mark.parametrize(
    ("rate", "seconds"), [("10/s", 0.1), ("1/s", 1.0), ("120/m", 0.5), (" 0.5 / s ", 2.0), ("3600/h", 1.0)]
)
def test_a_rate_is_the_time_from_one_to_the_next(rate, seconds):
    """So many in so long."""
    assert interval_seconds(rate) == pytest.approx(seconds)


@pytest.mark.parametrize("rate", ["", "10", "10/d", "0/s", "-1/s", "many/s", "10/s/s"])
def test_what_is_no_rate_is_refused_in_prose(rate):
    """The message shows how a rate is written."""
    with pytest.raises(DeclarationError, match="Write how many in which time: 10/s, 100/m or 5/h"):
        interval_seconds(rate)
