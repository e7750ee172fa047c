"""When a process that died is started again, and how its end is told."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.cli.supervisor import RESTART, how, restart_seconds

CHANCE = st.floats(0, 1, exclude_max=True)


@given(CHANCE)
def test_the_first_death_is_followed_by_a_start_at_once(chance):
    """One death is an accident."""
    assert restart_seconds(1, chance) == 0.0


@given(st.integers(1, 100_000), CHANCE)
def test_waits_are_bounded(failures, chance):
    """However often it dies, it is started again before long."""
    assert 0.0 <= restart_seconds(failures, chance) <= RESTART.most_seconds


def test_waits_grow_with_each_death_in_a_row():
    """What dies at once each time is started less and less often."""
    waits = [restart_seconds(failures, 0.9) for failures in range(1, 8)]
    assert waits == sorted(waits)
    assert waits[-1] > 10


def test_an_end_is_told_in_words():
    """By the signal's name, or by the status."""
    assert how(-9) == "was killed by SIGKILL"
    assert how(1) == "ended with status 1"
