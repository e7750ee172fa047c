"""A worker is killed at every point of a turn, whatever becomes of the turn: nothing is lost, nothing doubled.

The cases are made from the enums of the observer port. A point that is added there is a case here at once, and fails
until it is reached or `never` says why it cannot be.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from _pytest.mark.structures import ParameterSet

from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.crash_shop import (
    CONCURRENT,
    CONSUMER,
    FATES,
    SETTLING_ATTEMPT,
    TRANSACTIONAL,
    Case,
    crash_at,
    order,
    work,
)
from tests.acceptance.forked import KILLED, Parent, run
from tests.acceptance.pairs import JOINED, SEPARATE, Pair, pair
from tests.acceptance.postgres_pairs import POSTGRES, POSTGRES_SEPARATE, PostgresPair, postgres_pair
from tests.contract.servers import needs

pytestmark = pytest.mark.slow

KINDS = (JOINED, SEPARATE, POSTGRES, POSTGRES_SEPARATE)
ON_A_SERVER = (POSTGRES, POSTGRES_SEPARATE)
IN_ONE_DATABASE = (JOINED, POSTGRES)

SUBJECT = "s"
OTHERS = [("a", "handled"), ("b", "emitted"), ("c", "skipped"), ("d", "retry"), ("e", "dead")]
"""Who shares the subject's round, and must not suffer from its crash."""
RUNS_AGAIN = (Point.RECEIVED, Point.DECODED, Point.DECIDED, Point.FAILED, Point.RECORDED, Point.COMMITTED)
"""The points that a payment whose fate is retry passes at each of its failing attempts."""


class Killing(NamedTuple):
    """One case: where, in which lane, at which point, with which fate, at which passage."""

    kind: str
    lane: str
    point: Point
    fate: str
    count: int = 1

    def __str__(self) -> str:
        return "-".join(map(str, self))


def never(killing: Killing) -> str | None:
    """Why a turn with this fate cannot pass this point here; None if it does."""
    match killing.point:
        case Point.FAILED if killing.fate not in ("retry", "dead"):
            return "only an attempt that failed passes it"
        case Point.DUPLICATE if killing.kind in IN_ONE_DATABASE:
            return "the position in the log is the inbox: what is below it never comes again"
        case Point.PUBLISHED if killing.kind in IN_ONE_DATABASE:
            return "emitting is appending to the log, in the transaction that is committed"
        case Point.PUBLISHED if killing.fate != "emitted":
            return "it emits nothing that could be published"
        case Point.ACKNOWLEDGED if killing.kind in IN_ONE_DATABASE:
            return "taking is moving a position, in the transaction that is committed"
        case _:
            return None


def killings() -> Iterator[Killing]:
    """Every pair, lane, point and fate, and for retries the second failing attempt too.

    What is skipped or emits nothing leaves fewer rows of the same kinds: the slowest pair does without.
    """
    for kind in KINDS:
        for lane in (TRANSACTIONAL, CONCURRENT):
            for point in Point:
                for fate in FATES if kind != POSTGRES_SEPARATE else ("emitted", "retry", "dead"):
                    yield Killing(kind, lane, point, fate)
                    if fate == "retry" and point in RUNS_AGAIN:
                        yield Killing(kind, lane, point, fate, 2)


def cases(*, possible: bool) -> list[ParameterSet]:
    """The killings that can be, or cannot, with the marks of the server that they need."""
    return [
        pytest.param(killing, id=str(killing), marks=needs("postgres") if killing.kind in ON_A_SERVER else ())
        for killing in killings()
        if (never(killing) is None) is possible
    ]


def fresh(kind: str, directory: Path) -> Pair | PostgresPair:
    """A pair of this kind on which nothing has run."""
    return postgres_pair(kind) if kind in ON_A_SERVER else pair(kind, directory)


@pytest.fixture(scope="session")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Pair | PostgresPair]]:
    """Gives a test a pair in which these orders wait; each list is emitted once and then copied."""
    made: dict[object, Pair | PostgresPair] = {}

    def waiting(kind: str, orders: Sequence[tuple[str, str]], directory: Path) -> Pair | PostgresPair:
        key = (kind, tuple(orders))
        if key not in made:
            made[key] = fresh(kind, tmp_path_factory.mktemp("ordered"))
            asyncio.run(order(made[key], orders))
            made[key].keep()
        return made[key].copied(directory)

    yield waiting
    for one in made.values():
        one.dropped()


@pytest.mark.parametrize("killing", cases(possible=True))
def test_a_kill_loses_and_doubles_nothing(killing: Killing, ordered, tmp_path: Path) -> None:
    """After a kill at this point of this turn, the next worker ends with exactly the effects of an undisturbed run."""
    kind, lane, point, fate, count = killing
    orders = [(SUBJECT, fate), *OTHERS]
    concurrency = 100
    first_kill = []
    if point is Point.BEHIND:
        orders = [(SUBJECT, "retry"), *orders]
    if point is Point.DUPLICATE and lane == TRANSACTIONAL:
        # Recorded and not acknowledged, so that it comes again.
        first_kill = [crash_at(Point.COMMITTED, fate, SUBJECT)]
    if point is Point.DUPLICATE and lane == CONCURRENT:
        # Claimed in the commit that records the one before it, and not acknowledged.
        concurrency, orders = 1, [("opener", "handled"), *orders]
        first_kill = [crash_at(Point.COMMITTED, "handled", "opener")]
    case = Case(ordered(kind, orders, tmp_path), lane, concurrency)
    for crash in [*first_kill, crash_at(point, fate, SUBJECT, count)]:
        assert run(work, case, [crash]) == KILLED, f"{crash} was never reached"
    assert run(work, case, []) == 0
    assert_books(case, orders, kills=1 + len(first_kill))


def assert_books(case: Case, orders: Sequence[tuple[str, str]], kills: int) -> None:
    """The books hold each effect of these orders once, and retries and dead letters are counted."""
    assert case.pair.unfinished() == {}
    charges = case.pair.look("SELECT order_id, fate FROM charges")
    settled = [(key, fate) for key, fate in orders if fate not in ("skipped", "dead")]
    assert Counter(charges) == Counter(settled)
    receipts = case.pair.look("SELECT order_id FROM receipts")
    assert Counter(receipts) == Counter((key,) for key, fate in orders if fate == "emitted")
    assert_letters(case, [f"order-{n}" for n, (_, fate) in enumerate(orders) if fate == "dead"])
    assert_retries(case, kills)


def assert_letters(case: Case, dead: list[str]) -> None:
    """Each dead order has one letter, and the count says the same."""
    letters = case.pair.look("SELECT event_id, consumer, reason, state FROM minuet_dead_letters ORDER BY event_id")
    assert letters == [(event_id, CONSUMER, "permanent_error", "open") for event_id in dead]
    assert counted(case, "dead_letters") == len(dead)


def assert_retries(case: Case, kills: int) -> None:
    """Each recorded failure that was tried again is counted once; only attempts that a kill cut short are missing."""
    histories = case.pair.look("SELECT history FROM minuet_parked WHERE consumer = ? AND state = 'handled'", CONSUMER)
    recorded = [len(json.loads(str(history))) for (history,) in histories if history != "[]"]
    assert counted(case, "retries") == sum(recorded)
    attempts = case.pair.look("SELECT attempt FROM charges WHERE fate = 'retry'")
    assert all(attempt >= SETTLING_ATTEMPT for (attempt,) in attempts)
    cut_short = sum(attempt - 1 for (attempt,) in attempts) - sum(recorded)
    assert cut_short == 0 if case.lane == TRANSACTIONAL else 0 <= cut_short <= kills * len(attempts)


def counted(case: Case, name: str) -> int:
    """A durable count of payments."""
    found = case.pair.look("SELECT count FROM minuet_counters WHERE service = 'payments' AND name = ?", name)
    return int(str(found[0][0])) if found else 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Signals]:
    """What observers are told when nobody is killed, by pair and lane; orders of every fate, free and behind a key."""
    told: dict[tuple[str, str], Signals] = {}

    async def watch(kind: str, lane: str, directory: Path) -> Signals:
        where, signals = fresh(kind, directory), Signals()
        await order(where, [order for fate in FATES for order in ((fate, fate), ("last", "retry"), ("last", fate))])
        await work(Parent(None), Case(where, lane), [signals])
        where.dropped()
        return signals

    def watched(kind: str, lane: str) -> Signals:
        if (kind, lane) not in told:
            told[kind, lane] = asyncio.run(watch(kind, lane, tmp_path_factory.mktemp("undisturbed")))
        return told[kind, lane]

    return watched


@pytest.mark.parametrize("killing", cases(possible=False))
def test_a_turn_never_passes_where_it_cannot(killing: Killing, undisturbed) -> None:
    """What `never` gives a reason for does not happen: no turn with this fate passes this point on this pair."""
    assert never(killing)
    signals = undisturbed(killing.kind, killing.lane)
    assert signals.passed(Point.COMMITTED, reaction=CONSUMER, key=killing.fate)
    assert signals.passed(killing.point, key=killing.fate) == []
