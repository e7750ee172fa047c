"""How many deliveries share a transaction: as many as are over soon."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.runtime.lanes import BATCH
from minuet.runtime.transactional import ROUND_SECONDS, most_for


@given(st.floats(0.00001, 10), st.integers(1, BATCH))
def test_rounds_of_even_turns_come_to_fit(turn_seconds, most) -> None:
    """Wherever it begins, a lane whose turns take equally long comes to rounds that fit, and never takes none."""
    for _ in range(20):
        most = most_for(most, most * turn_seconds)
    assert 1 <= most <= BATCH
    assert most == 1 or most * turn_seconds <= ROUND_SECONDS
    assert most == BATCH or 2 * most * turn_seconds > ROUND_SECONDS / 2


def test_quick_turns_share_whole_batches_soon() -> None:
    """After a few rounds that take no time, a commit is shared by as many as ever."""
    most = 1
    for _ in range(8):
        most = most_for(most, 0.0)
    assert most == BATCH
