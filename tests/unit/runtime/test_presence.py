"""How long a lane is careful after deaths, which of them are remembered, and what a process has died with."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.ports.store import Attempt, Parked, Standing
from minuet.runtime.claiming import killed_before
from minuet.runtime.presence import MOST_REMEMBERED, REMEMBER_SECONDS, caution, forgotten
from minuet.runtime.rounds import BATCH


def parked(number: int = 1, attempts: int = 0, failed: int = 0, letter: int | None = None) -> Parked:
    history = tuple(Attempt(at=float(n), error="ValueError: no") for n in range(failed))
    return Parked(
        id=number, consumer="desk.answer", topic="Asked", key=None, event_id=None, source=None, headers=None,
        body="", attempts=attempts, history=history, dead_letter=letter,
    )  # fmt: skip


def died(number: int, at: float) -> Standing:
    return Standing(delivery=parked(number), state="due", due_at=at, settled_at=None)


@given(st.integers(0, 10_000))
def test_caution_covers_a_round_and_never_shrinks_as_deaths_go_on(deaths) -> None:
    """What a dead process had in its round is all claimed one by one; more deaths are no reason for less."""
    assert BATCH <= caution(deaths) <= caution(deaths + 1) <= caution(1_000_000)


def test_a_poison_with_the_usual_retries_makes_nobody_more_careful() -> None:
    """One death uncounted and six that count are not yet a reason for longer caution; many more are, within bounds."""
    assert caution(7) == caution(1)
    assert caution(20) == caution(10_000) == 64 * caution(1)


@given(st.lists(st.floats(0, 10_000), max_size=50), st.floats(0, 10_000))
def test_the_newest_deaths_of_the_last_minutes_are_remembered(times, now) -> None:
    """Whatever died when: what is kept is recent, not too much, and newer than what of the recent is forgotten."""
    lost = [died(number, at) for number, at in enumerate(times)]
    gone = forgotten(lost, now)
    kept = [one.due_at for one in lost if one not in gone]
    recent = [one.due_at for one in lost if one.due_at > now - REMEMBER_SECONDS]
    assert sorted(kept) == sorted(recent)[-MOST_REMEMBERED:]


@given(st.integers(0, 5), st.integers(0, 5))
def test_more_attempts_than_failures_say_that_a_process_died(failed, deaths) -> None:
    """Of a delivery that is about to begin again, every attempt before has failed or was cut short by a death."""
    assert killed_before(parked(attempts=failed + deaths + 1, failed=failed)) == (deaths > 0)


def test_what_was_redriven_may_have_died_since() -> None:
    """The failures of its first life hide a death in the second; at its first attempt there was none."""
    assert not killed_before(parked(attempts=1, failed=3, letter=7))
    assert killed_before(parked(attempts=2, failed=3, letter=7))
