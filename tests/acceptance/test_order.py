"""Events of one key are handled one at a time and in their order: between processes, across retries and redrives."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from minuet import App, Service
from minuet.brokers.sqlite import SqliteBroker
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import DeadLetterFilter, Store
from minuet.stores.sqlite import SqliteStore
from minuet.testing.signals import Signals
from tests.acceptance.clocks import SharedClock
from tests.acceptance.forked import Forked
from tests.acceptance.pairs import JOINED, KINDS, SEPARATE, Pair, adapters, committed_until, pair, rows
from tests.acceptance.till_shop import ENTRIES, LANES, RETRIES, Bought, Jammed, serve, shop, tills

COLD = [f"cold-{number}" for number in range(5)]


def by_key(entries: Iterable[tuple[object, ...]]) -> dict[object, list[object]]:
    """The numbers of each key in the order of the books."""
    found: dict[object, list[object]] = defaultdict(list)
    for key, number, *_ in entries:
        found[key].append(number)
    return found


async def two_processes(stack: AsyncExitStack, where: Pair, lane: str, clock: SharedClock | None) -> list[Forked]:
    processes = [await stack.enter_async_context(Forked(serve, where, lane, clock)) for _ in range(2)]
    for process in processes:
        await process.says("started")
    return processes


async def stopped(processes: list[Forked]) -> list[int]:
    for process in processes:
        process.terminate()
    return [await process.ended() for process in processes]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
@pytest.mark.parametrize("lane", LANES)
async def test_two_processes_keep_the_order_of_a_hot_key(lane: str, kind: str, tmp_path: Path) -> None:
    """Both take part, the first event of the key needs five retries, and each key's events are entered in order."""
    where = pair(kind, tmp_path)
    broker, store = where.adapters()
    service, sent = tills(lane), 0
    async with AsyncExitStack() as stack:
        processes = await two_processes(stack, where, lane, None)
        await stack.enter_async_context(App([service], broker=broker, store=store, observers=()).connected())
        while sent < 60 or len(where.look("SELECT DISTINCT process FROM entries")) < 2:
            for key in ("hot", "hot", *COLD):
                await service.emit(Bought(till=key, number=sent))
                sent += 1
        await committed_until(lambda: where.look("SELECT count(*) FROM entries") == [(sent,)], broker, store)
        assert await stopped(processes) == [0, 0]
    entered = by_key(where.look(ENTRIES))
    assert {key: sorted(numbers) for key, numbers in entered.items()} == entered
    assert sorted(number for numbers in entered.values() for number in numbers) == list(range(sent))
    assert where.look("SELECT count FROM minuet_counters WHERE name = 'retries'") == [(RETRIES,)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
@pytest.mark.parametrize("lane", LANES)
async def test_others_pass_while_a_key_waits_for_a_retry(lane: str, kind: str, tmp_path: Path) -> None:
    """With the clock standing before the third attempt, every other key is done and the hot one is not begun."""
    where, clock = pair(kind, tmp_path), SharedClock(tmp_path / "clock")
    broker, store = where.adapters()
    service = tills(lane)
    async with AsyncExitStack() as stack:
        processes = await two_processes(stack, where, lane, clock)
        app = App([service], broker=broker, store=store, clock=clock, observers=())
        await stack.enter_async_context(app.connected())
        for number in range(20):
            for key in ("hot", *COLD):
                await service.emit(Bought(till=key, number=number))
        cold = 20 * len(COLD)
        await committed_until(lambda: where.look("SELECT count(*) FROM entries") == [(cold,)], broker, store)
        assert "hot" not in by_key(where.look(ENTRIES))
        clock.run()
        await committed_until(lambda: where.look("SELECT count(*) FROM entries") == [(cold + 20,)], broker, store)
        assert await stopped(processes) == [0, 0]
    assert by_key(where.look(ENTRIES)) == {key: list(range(20)) for key in ("hot", *COLD)}


class Drawer:
    """A drawer that is jammed for the first event of the hot till until somebody mends it."""

    def __init__(self) -> None:
        self.mended = False

    def __call__(self, bought: Bought, attempt: int) -> None:
        if bought.till == "hot" and bought.number == 0 and not self.mended:
            raise Jammed("a coin")


async def first_letter(store: Store, *, redrive: bool) -> None:
    """Redrive or discard the one open dead letter."""
    [letter] = await store.list_dead_letters(DeadLetterFilter())
    async with store.transaction() as unit:
        act = unit.dead_letters.redrive if redrive else unit.dead_letters.discard
        assert await act(letter, time.time())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lane", LANES)
async def test_with_hold_a_redriven_event_keeps_its_place(lane: str, kind: str, tmp_path: Path) -> None:
    """Later events of a dead one's key wait, others do not; redriven, it is handled before those behind it."""
    broker, store = adapters(kind, tmp_path)
    signals, drawer = Signals({Point.COMMITTED, Point.BEHIND}), Drawer()
    service = tills(lane, drawer, on_dead_letter="hold")
    async with shop(service, broker, store, signals).running():
        for number in range(3):
            for key in ("hot", "cold"):
                await service.emit(Bought(till=key, number=number))
        await signals.reached(Point.COMMITTED, outcome=Outcome.DEAD)
        await signals.reached(Point.COMMITTED, key="cold", count=3)
        await signals.reached(Point.BEHIND, key="hot", count=2)
        assert "hot" not in by_key(await rows(store, ENTRIES))
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert await store.waiting_behind(letter) == 2
        drawer.mended = True
        await first_letter(store, redrive=True)
        await signals.reached(Point.COMMITTED, key="hot", outcome=Outcome.HANDLED, count=3)
        assert by_key(await rows(store, ENTRIES))["hot"] == [0, 1, 2]
        assert await store.list_dead_letters(DeadLetterFilter(state="resolved"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lane", LANES)
async def test_with_hold_a_discarded_event_lets_those_behind_it_go(lane: str, kind: str, tmp_path: Path) -> None:
    """Once the dead one is given up for good, the later events of its key are handled, in order."""
    broker, store = adapters(kind, tmp_path)
    signals = Signals({Point.COMMITTED, Point.BEHIND})
    service = tills(lane, Drawer(), on_dead_letter="hold")
    async with shop(service, broker, store, signals).running():
        for number in range(3):
            await service.emit(Bought(till="hot", number=number))
        await signals.reached(Point.COMMITTED, outcome=Outcome.DEAD)
        await signals.reached(Point.BEHIND, count=2)
        await first_letter(store, redrive=False)
        await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=2)
        assert by_key(await rows(store, ENTRIES))["hot"] == [1, 2]


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
@pytest.mark.parametrize("lane", LANES)
async def test_a_hold_outlives_the_process(lane: str, kind: str, tmp_path: Path) -> None:
    """Another process holds the key as the first did, also against events that come only then."""
    where, drawer = pair(kind, tmp_path), Drawer()
    signals = Signals({Point.COMMITTED})
    service = tills(lane, drawer, on_dead_letter="hold")
    async with App([service], **where.urls(), observers=[signals]).running():
        await service.emit(Bought(till="hot", number=0))
        await signals.reached(Point.COMMITTED, outcome=Outcome.DEAD)
    broker, store = SqliteBroker(str(where.broker)), SqliteStore(str(where.store))
    signals = Signals({Point.COMMITTED, Point.BEHIND})
    async with shop(service, broker, store, signals).running():
        await service.emit(Bought(till="hot", number=1))
        await signals.reached(Point.BEHIND)
        drawer.mended = True
        await first_letter(store, redrive=True)
        await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=2)
    assert by_key(where.look(ENTRIES))["hot"] == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lane", LANES)
async def test_without_hold_a_key_goes_on_after_a_dead_letter(lane: str, kind: str, tmp_path: Path) -> None:
    """Later events do not wait for a dead one; it is handled when it is redriven, after them."""
    broker, store = adapters(kind, tmp_path)
    signals, drawer = Signals({Point.COMMITTED}), Drawer()
    service = tills(lane, drawer)
    async with shop(service, broker, store, signals).running():
        for number in range(3):
            await service.emit(Bought(till="hot", number=number))
        await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=2)
        drawer.mended = True
        await first_letter(store, redrive=True)
        await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=3)
        assert by_key(await rows(store, ENTRIES))["hot"] == [1, 2, 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("guarantee", ["effectively_once", "at_least_once", "at_most_once"])
async def test_events_of_a_key_never_run_beside_each_other(guarantee: str, kind: str, tmp_path: Path) -> None:
    """Under each guarantee, reactions without a transaction take turns for a key, and run at once for others."""
    broker, store = adapters(kind, tmp_path)
    service, running, most, order = Service("tills", owns=[Bought]), Counter[str](), Counter[str](), list[int]()

    @service.reaction(guarantee=guarantee)
    async def enter(bought: Bought) -> None:
        running[bought.till] += 1
        most[bought.till] = max(most[bought.till], running[bought.till])
        most["all"] = max(most["all"], running.total())
        for _ in range(5):
            await asyncio.sleep(0)
        running[bought.till] -= 1
        if bought.till == "hot":
            order.append(bought.number)

    app = App([service], broker=broker, store=store, observers=())
    async with app.connected():
        await asyncio.gather(
            *[service.emit(Bought(till=till, number=number)) for number in range(8) for till in ("hot", *COLD)]
        )
    async with app.running():
        await app.settled()
    assert order == list(range(8))
    assert all(most[till] == 1 for till in ("hot", *COLD))
    assert most["all"] > 1
