"""How much a service holds of what a broker elsewhere has for it."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.runtime.feed import FIRST_BYTES, OUTSTANDING, OUTSTANDING_BYTES, room

SIZES = st.integers(0, 64 * 1024 * 1024)


@given(st.integers(0, OUTSTANDING), SIZES, SIZES)
def test_what_is_held_is_bounded_in_number_and_in_bytes(held, held_bytes, usual_bytes) -> None:
    """There is room for no more than both bounds allow; whoever holds nothing takes one, however large."""
    more = room(held, held_bytes, usual_bytes)
    assert 0 <= more <= OUTSTANDING - held
    assert held_bytes + more * usual_bytes <= OUTSTANDING_BYTES or more == 0 or (held == 0 and more == 1)
    assert more >= 1 or held


def test_small_events_are_bounded_by_their_number_alone() -> None:
    """An event of a kilobyte is usual: as many fit as ever."""
    assert room(0, 0, 1024) == OUTSTANDING
    assert room(0, 0, FIRST_BYTES) == OUTSTANDING_BYTES // FIRST_BYTES
