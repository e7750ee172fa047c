"""When a failed attempt is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.errors import DeclarationError
from minuet.policies.retry import NEVER, Retry, retry

waits = st.floats(0, 1e9)
policies = st.tuples(st.integers(0, 5000), waits, waits).map(
    lambda parts: Retry(parts[0], min(parts[1:]), max(parts[1:]))
)
chances = st.floats(0, 1, exclude_max=True)


@given(policies, chances)
def test_a_reaction_is_tried_so_many_times_and_then_given_up(policy, chance) -> None:
    """With `times` retries, attempt times + 1 is the last, and every earlier one is followed by another."""
    delays = [policy.delay(attempt, chance) for attempt in range(1, policy.times + 2)]
    assert delays[-1] is None
    assert None not in delays[:-1]


@given(policies, chances)
def test_the_first_retry_is_immediate(policy, chance) -> None:
    """What fails by accident is tried again at once."""
    assert policy.delay(1, chance) == (0.0 if policy.times else None)


@given(policies, st.integers(2, 6000), chances)
def test_later_retries_wait_between_nothing_and_a_ceiling_that_doubles(policy, attempt, chance) -> None:
    """The n-th delayed retry waits chance times the smaller of `most` and `first` doubled n - 1 times."""
    delay = policy.delay(attempt, chance)
    if attempt > policy.times:
        assert delay is None
        return
    assert 0 <= delay <= policy.most_seconds
    if attempt < 60:
        assert delay == chance * min(policy.most_seconds, policy.first_seconds * 2 ** (attempt - 2))


@given(policies, chances)
def test_waits_never_shrink_by_themselves(policy, chance) -> None:
    """With the same chance, each wait is at least as long as the one before it."""
    delays = [policy.delay(attempt, chance) for attempt in range(2, min(policy.times, 100) + 1)]
    assert delays == sorted(delays)


def test_the_defaults_are_five_retries_from_a_second_to_a_minute() -> None:
    """`retry()` is what its signature says, and its waits can be listed."""
    assert retry() == Retry(times=5, first_seconds=1.0, most_seconds=60.0)
    assert [retry().delay(attempt, 1.0) for attempt in range(1, 7)] == [0.0, 1.0, 2.0, 4.0, 8.0, None]
    assert retry(times=9, most="10s").delay(7, 1.0) == 10.0


def test_never_gives_up_at_once() -> None:
    """NEVER is the policy of one attempt."""
    assert NEVER.delay(1, 0.5) is None


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"times": -1}, "number of retries"),
        ({"times": 1.5}, "number of retries"),
        ({"times": True}, "number of retries"),
        ({"times": "5"}, "number of retries"),
        ({"first": "soon"}, "length of time"),
        ({"most": -1}, "length of time"),
        ({"first": "2m", "most": "1m"}, "longer than the longest"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(keywords, said) -> None:
    """A DeclarationError says in prose what is wrong with it."""
    with pytest.raises(DeclarationError, match=said):
        retry(**keywords)
