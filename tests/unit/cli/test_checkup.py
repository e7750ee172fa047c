"""What doctor says of deliveries that have been running for long."""

import pytest

from minuet.cli.checkup import running
from minuet.ports.store import Attempt, Parked, Standing


def since_1970(owner: str | None) -> Standing:
    """A delivery that has been running ever since its first attempt failed, long ago."""
    delivery = Parked(
        id=1, consumer="delivery.deliver", topic="LetterPosted", key=None, event_id="l7", source="/boxes",
        headers=None, body="{}", attempts=2, history=(Attempt(at=1.0, error="OSError: stuck"),),
    )  # fmt: skip
    return Standing(delivery=delivery, state="running", due_at=None, settled_at=None, owner=owner)


@pytest.mark.parametrize("owner", ["4711-ab", None])
def test_a_process_is_spoken_of_where_one_is_named(owner: str | None) -> None:
    """Not every store tells in which process a delivery runs: then there is no dash to look before."""
    [found] = running([since_1970(owner)], 1e9)
    assert ("in process 4711-ab" in found.found) is (owner is not None)
    assert ("before the dash" in str(found.advice)) is (owner is not None)
    assert "process ends, another begins the delivery again." in str(found.advice)
