"""Whom to kill, and when."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from minuet.demo.strikes import LONGEST_WAIT_SECONDS, strikes

SOME = st.integers(1, 300)


@given(seed=st.integers(), kills=SOME, invoices=st.integers(0, 30_000), processes=st.integers(2, 40))
def test_kills_are_spread_over_the_feeding(seed, kills, invoices, processes) -> None:
    """There are as many as were asked for, in order, with gaps that differ by one invoice at most."""
    found = strikes(seed, kills, invoices, processes)
    moments = [0, *(strike.fed for strike in found), invoices]
    gaps = {later - earlier for earlier, later in pairwise(moments)}
    assert len(found) == kills
    assert max(gaps) - min(gaps) <= 1


@given(seed=st.integers(), kills=SOME, processes=st.integers(2, 40))
def test_the_feeder_is_among_the_victims(seed, kills, processes) -> None:
    """Every victim is a process that there is, and the feeder, number 0, is one of them."""
    victims = [strike.victim for strike in strikes(seed, kills, 100, processes)]
    assert 0 in victims
    assert all(victim in range(processes) for victim in victims)


@given(seed=st.integers(), kills=SOME)
def test_the_same_seed_strikes_alike(seed, kills) -> None:
    """A run can be repeated; the wait before a strike is bounded."""
    found = strikes(seed, kills, 1_000, 6)
    assert found == strikes(seed, kills, 1_000, 6)
    assert all(0 <= strike.after_seconds <= LONGEST_WAIT_SECONDS for strike in found)


def test_without_kills_nobody_is_struck() -> None:
    """None asked for, none planned."""
    assert strikes(1, 0, 100, 6) == []
