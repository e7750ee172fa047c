"""A clock that is set back, by hand or by its time server, stops nothing that waits."""

from pathlib import Path

import pytest

from minuet import App, Event, Service, Transaction, retry
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.clocks import ManualClock
from tests.acceptance.pairs import JOINED, SEPARATE, pair

HOUR = 3600.0


class Called(Event, key="door"):
    """Somebody called at a door."""

    door: str
    number: int


@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize("which", [JOINED, SEPARATE])
async def test_what_waits_for_its_retry_goes_on(*, which: str, transactional: bool, tmp_path: Path) -> None:
    """A retry due in seconds, and what is behind it, do not wait for the hour that the clock was set back."""
    clock, failing, order = ManualClock(), True, list[int]()
    house = Service("house", owns=[Called])

    def answer(called: Called) -> None:
        if failing and called.number == 1:
            raise ValueError("nobody is at home")
        order.append(called.number)

    if transactional:

        @house.reaction(retry=retry(times=9, first="1s", most="5s"))
        async def open_it(called: Called, tx: Transaction) -> None:
            answer(called)

    else:

        @house.reaction(retry=retry(times=9, first="1s", most="5s"))
        async def open_it(called: Called) -> None:
            answer(called)

    signals = Signals({Point.FAILED, Point.BEHIND})
    where = pair(which, tmp_path)
    async with App([house], **where.urls(), clock=clock, observers=[signals]).running() as app:
        await house.emit(Called(door="a", number=1))
        # The first retry is at once; the second waits.
        await signals.reached(Point.FAILED, count=2)
        await house.emit(Called(door="a", number=2))
        await signals.reached(Point.BEHIND)
        failing = False
        clock.advance(-HOUR)
        await house.emit(Called(door="b", number=3))
        await app.settled()
    assert sorted(order) == [1, 2, 3]
    assert order.index(1) < order.index(2)
