"""Large events: of them fewer share a transaction, so that what is in memory is bounded."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from minuet import App, Event, Service, Transaction, retry
from minuet.ports.observer import Outcome, Point, Turn
from minuet.runtime.rounds import ROUND_BYTES
from tests.acceptance.clocks import ManualClock
from tests.acceptance.pairs import JOINED, SEPARATE, Pair, pair
from tests.acceptance.postgres_pairs import POSTGRES, PostgresPair, postgres_pair
from tests.contract.servers import needs

pytestmark = pytest.mark.slow
FIT = 16
LOAD = "x" * (ROUND_BYTES // FIT - 100)
"""Of such events so many fit into a round: of what is fresh, and of what is due again."""
MANY = 120


class Painted(Event, key="number"):
    """Something large."""

    number: int
    load: str


class Rounds:
    """How many deliveries each round came to, and how many of all were handled and failed."""

    points = frozenset({Point.COMMITTED})

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.outcomes: list[Outcome | None] = []
        self._changed = asyncio.Event()

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        self.sizes.append(len(turns))
        self.outcomes += [turn.outcome for turn in turns]
        self._changed.set()

    def trouble(self, where: str, error: BaseException) -> None:
        raise AssertionError(where) from error

    async def came_to(self, outcome: Outcome) -> None:
        """Wait until all are through, or have failed."""
        async with asyncio.timeout(60):
            while self.outcomes.count(outcome) < MANY:
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture(params=[JOINED, SEPARATE, pytest.param(POSTGRES, marks=needs("postgres"))])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair | PostgresPair]:
    made = postgres_pair(request.param) if request.param == POSTGRES else pair(request.param, tmp_path)
    yield made
    made.dropped()


def gallery(*, fails: bool) -> Service:
    service = Service("gallery", owns=[Painted])

    @service.reaction(retry=retry(times=2, first="1h", most="1h"))
    async def hang(painted: Painted, tx: Transaction) -> None:
        if fails:
            raise ValueError("no wall")

    return service


async def test_fewer_share_a_round_also_when_they_were_parked(where) -> None:
    """When they come, and when all of them are tried again at once."""
    service, rounds, clock = gallery(fails=True), Rounds(), ManualClock()
    async with App([service], **where.urls(), observers=[rounds], clock=clock).running():
        await asyncio.gather(*(service.emit(Painted(number=number, load=LOAD)) for number in range(MANY)))
        await rounds.came_to(Outcome.RETRY)
    assert 1 < max(rounds.sizes) <= 2 * FIT
    rounds = Rounds()
    clock.advance(7200)
    async with App([gallery(fails=False)], **where.urls(), observers=[rounds], clock=clock).running():
        await rounds.came_to(Outcome.HANDLED)
    assert 1 < max(rounds.sizes) <= 2 * FIT
