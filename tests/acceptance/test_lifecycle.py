"""How an app starts, stops and is told to: nothing begun is lost, nothing opened stays open, nothing takes for ever."""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from minuet import App, Context, Event, Service, StartupError, Transaction, Writes, retry
from minuet.errors import PreparationFailed, StoreUnavailable
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.forked import KILLED, Forked, Parent
from tests.acceptance.pairs import JOINED, KINDS, SEPARATE, Pair, adapters, pair, rows
from tests.acceptance.sabotage import refusing


class Asked(Event, key="number"):
    """Somebody asks."""

    number: int


class Answered(Event, key="number"):
    """Somebody answers."""

    number: int


def desk(hangs: str = "") -> Service:
    """Answers at once, or never: in a task, in a thread, or with the transaction in its hand."""
    service = Service("desk", owns=[Asked, Answered])

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS answers (number INTEGER, attempt INTEGER)")

    insert = "INSERT INTO answers VALUES (?, ?)"
    if hangs == "transaction":

        @service.reaction
        async def answer(asked: Asked, tx: Transaction, context: Context) -> None:
            await tx.execute(insert, (asked.number, context.attempt))
            await asyncio.Event().wait()

    elif hangs == "thread":

        @service.reaction
        def answer(asked: Asked, writes: Writes) -> None:
            threading.Event().wait()

    else:

        @service.reaction
        async def answer(asked: Asked, writes: Writes, context: Context) -> None:
            if hangs == "stubborn":
                while True:
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        continue
            elif hangs:
                await asyncio.Event().wait()
            writes.execute(insert, (asked.number, context.attempt))

    return service


class Says:
    """Tells the test that the first reaction is about to run."""

    points = frozenset({Point.DECODED})

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def at(self, point: Point, turns: object) -> None:
        self._parent.say("running")

    def trouble(self, where: str, error: BaseException) -> None:
        """Not its business."""


async def serving(parent: Parent, where: Pair, hangs: str, stop_within: str) -> None:
    """A served process."""
    app = App([desk(hangs)], **where.urls(), stop_within=stop_within, observers=[Says(parent)])
    await app.serve(started=lambda: parent.say("started"))


async def ask(where: Pair, *numbers: int) -> None:
    service = desk()
    async with App([service], **where.urls(), observers=()).connected():
        for number in numbers:
            await service.emit(Asked(number=number))


async def answered(where: Pair) -> list[tuple[object, ...]]:
    """Let a healthy process do what is left; then who was answered, at which attempt."""
    app = App([desk()], **where.urls(), observers=())
    async with app.running():
        await app.settled()
    return where.look("SELECT number, attempt FROM answers ORDER BY number")


# -- stopping


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_a_stop_gives_back_what_takes_too_long(kind: str, tmp_path: Path) -> None:
    """Reactions that outlast the limit are left to the next process, and their interrupted attempt does not count."""
    where, signals = pair(kind, tmp_path), Signals({Point.DECODED})
    service = desk("task")
    app = App([service], **where.urls(), observers=[signals], stop_within="10ms")
    async with asyncio.timeout(10):
        async with app.running():
            for number in range(3):
                await service.emit(Asked(number=number))
            await signals.reached(Point.DECODED, count=3)
    assert where.look("SELECT state, attempts FROM minuet_parked") == [("due", 0)] * 3
    assert await answered(where) == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
@pytest.mark.parametrize("ends", ["dead", "handled"])
async def test_a_stop_gives_back_nothing_that_has_ended(ends: str, kind: str, tmp_path: Path) -> None:
    """A reaction that answers the stop by raising an error of its own, or by returning, has ended and is recorded:
    what is settled is not due.
    """
    where, signals = pair(kind, tmp_path), Signals({Point.DECODED})
    service = Service("desk", owns=[Asked, Answered])

    @service.reaction(retry=retry(times=1))
    async def answer(asked: Asked, context: Context) -> None:
        if context.attempt == 1:
            raise ValueError("not yet")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if ends == "dead":
                raise ValueError("not ever") from None

    app = App([service], **where.urls(), observers=[signals], stop_within="10ms")
    async with asyncio.timeout(10), app.running():
        for number in range(3):
            await service.emit(Asked(number=number))
        await signals.reached(Point.DECODED, count=6)
    standing = where.look("SELECT state, attempts, due_at, settled_at IS NOT NULL FROM minuet_parked")
    assert standing == [(ends, 2, None, True)] * 3


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_a_stop_finishes_what_is_begun(kind: str, tmp_path: Path) -> None:
    """A reaction that ends within the limit is recorded before the app is left, and what it emits is published."""
    where, signals, gate = pair(kind, tmp_path), Signals({Point.DECODED}), asyncio.Event()
    service = Service("desk", owns=[Asked, Answered])

    @service.reaction
    async def answer(asked: Asked) -> Answered:
        await gate.wait()
        return Answered(number=asked.number)

    stopping = asyncio.Event()

    async def run() -> None:
        async with App([service], **where.urls(), observers=[signals]).running():
            await service.emit(Asked(number=1))
            await signals.reached(Point.DECODED)
            stopping.set()

    running = asyncio.create_task(run())
    await stopping.wait()
    await asyncio.sleep(0)
    gate.set()
    await running
    assert where.unfinished() == {}
    assert where.logged("Answered") == [("1",)]


@pytest.mark.slow
@pytest.mark.parametrize("hangs", ["task", "transaction", "thread", "stubborn"])
async def test_sigterm_ends_a_served_process_whatever_hangs(hangs: str, tmp_path: Path) -> None:
    """A process whose reaction never ends is gone soon after its limit; the next one does the work."""
    where = pair(JOINED, tmp_path)
    await ask(where, 1)
    async with Forked(serving, where, hangs, "50ms") as process:
        await process.says("running")
        process.terminate()
        await process.ended()
    [(number, attempt)] = await answered(where)
    assert (number, attempt) in ((1, 1), (1, 2))


@pytest.mark.slow
async def test_sigterm_of_an_idle_process_is_a_clean_end(tmp_path: Path) -> None:
    """A served process that has nothing to do ends at once, with exit code 0."""
    where = pair(JOINED, tmp_path)
    async with Forked(serving, where, "", "30s") as process:
        await process.says("started")
        process.terminate()
        assert await process.ended() == 0


@pytest.mark.slow
@pytest.mark.parametrize("hangs", ["task", "transaction", "thread"])
async def test_a_kill_of_a_process_whose_reaction_hangs_brings_the_event_again(hangs: str, tmp_path: Path) -> None:
    """What a killed process was running is run by the next; outside a transaction the lost attempt counts."""
    where = pair(SEPARATE, tmp_path)
    await ask(where, 1)
    async with Forked(serving, where, hangs, "30s") as process:
        await process.says("running")
        process.kill()
        assert await process.ended() == KILLED
    assert await answered(where) == [(1, 1 if hangs == "transaction" else 2)]


async def test_a_stop_does_not_wait_for_a_broker_that_is_away(tmp_path: Path) -> None:
    """What the broker does not take stays owed in the store, and the app stops all the same."""
    where, service, signals = pair(SEPARATE, tmp_path), desk(), Signals()
    async with asyncio.timeout(10):
        async with App([service], **where.urls(), observers=[signals], stop_within="5s").running():
            with refusing(where.broker, "minuet_log"):
                await service.emit(Asked(number=1))
                await signals.troubled()
                began = time.monotonic()
        assert time.monotonic() - began < 5
    assert await answered(where) == [(1, 1)]


async def test_an_error_inside_a_running_app_comes_out_after_a_stop(tmp_path: Path) -> None:
    """The caller's own error ends the block, the app is stopped, and the error is what the caller sees."""
    service = desk()
    with pytest.raises(ZeroDivisionError):
        async with App([service], **pair(JOINED, tmp_path).urls(), observers=()).running():
            raise ZeroDivisionError
    with pytest.raises(StartupError, match="is not connected"):
        await service.emit(Asked(number=1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
@pytest.mark.parametrize("lane", ["transactional", "concurrent"])
async def test_restarts_in_the_middle_of_work_cost_no_attempt(lane: str, kind: str, tmp_path: Path) -> None:
    """Stopped thirty times at work, with no time to finish: every event is handled once, at its first attempt."""
    where, chance, asked = pair(kind, tmp_path), random.Random(lane + kind), 0
    service = Service("desk", owns=[Asked, Answered])
    insert = "INSERT INTO answers VALUES (?, ?)"

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS answers (number INTEGER, attempt INTEGER)")

    async def think() -> None:
        for _ in range(chance.randrange(10)):
            await asyncio.sleep(0)

    if lane == "transactional":

        @service.reaction
        async def answer(asked: Asked, tx: Transaction, context: Context) -> Answered:
            await tx.execute(insert, (asked.number, context.attempt))
            await think()
            return Answered(number=asked.number)

    else:

        @service.reaction
        async def answer(asked: Asked, writes: Writes, context: Context) -> Answered:
            await think()
            writes.execute(insert, (asked.number, context.attempt))
            return Answered(number=asked.number)

    for _ in range(30):
        async with App([service], **where.urls(), observers=(), stop_within=0).running():
            for _ in range(10):
                await service.emit(Asked(number=asked))
                asked += 1
            await think()
    app = App([service], **where.urls(), observers=())
    async with app.running():
        await app.settled()
    answers = where.look("SELECT number, attempt FROM answers ORDER BY number")
    assert answers == [(number, 1) for number in range(asked)]
    assert sorted(where.logged("Answered")) == sorted((str(number),) for number in range(asked))


# -- starting


async def test_a_setup_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    """The error says whose setup failed, nothing of it stays, and the app starts once it is mended."""
    where, service, broken = pair(JOINED, tmp_path), desk(), asyncio.Event()
    broken.set()

    @service.setup
    async def more(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE half (a INTEGER)")
        if broken.is_set():
            raise ZeroDivisionError

    with pytest.raises(PreparationFailed, match="more") as failed:
        async with App([service], **where.urls(), observers=()).running():
            pass
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert where.look("SELECT name FROM sqlite_schema WHERE name = 'half'") == []
    broken.clear()
    async with App([service], **where.urls(), observers=()).running():
        await service.emit(Asked(number=1))


async def test_a_database_that_cannot_be_opened_is_said_in_prose(tmp_path: Path) -> None:
    """A missing folder, and a file that is no database: the file is named, and what to look at."""
    (tmp_path / "letter.db").write_text("Dear Sir or Madam, " * 100)
    for url in (f"sqlite:///{tmp_path}/missing/shop.db", f"sqlite:///{tmp_path}/letter.db"):
        with pytest.raises(StoreUnavailable, match=r"could not open .*\.db.*Check"):
            async with App([desk()], broker=url, observers=()).running():
                pass


async def test_a_service_has_one_app_at_a_time(tmp_path: Path) -> None:
    """A second app with the same service is refused while the first is open, and welcome afterwards."""
    service = desk()
    urls = pair(JOINED, tmp_path).urls()
    async with App([service], **urls, observers=()).connected():
        with pytest.raises(StartupError, match="desk is connected by another App already"):
            async with App([service], **urls, observers=()).running():
                pass
        await service.emit(Asked(number=1))
    async with App([service], **urls, observers=()).running():
        await service.emit(Asked(number=2))


async def test_a_connected_app_emits_and_consumes_nothing(tmp_path: Path) -> None:
    """What a web process emits waits for a process that reacts."""
    where, service, signals = pair(JOINED, tmp_path), desk(), Signals()
    async with App([service], **where.urls(), observers=[signals]).connected() as app:
        await service.emit(Asked(number=1))
        await app.settled()
    assert signals.turns == []
    assert await answered(where) == [(1, 1)]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_app_runs_the_services_that_are_named(kind: str, tmp_path: Path) -> None:
    """Only those consume; an unknown name is refused with the names that there are."""
    (broker, store), first, signals = adapters(kind, tmp_path), desk(), Signals({Point.COMMITTED})
    second = Service("archive")

    @second.reaction
    async def keep(asked: Asked) -> None:
        """There is nothing to do."""

    app = App([first, second], broker=broker, store=store, observers=[signals])
    async with app.running(["archive"]):
        await first.emit(Asked(number=1))
        await app.settled()
    assert {turn.reaction for turn in signals.passed(Point.COMMITTED)} == {"archive.keep"}
    with pytest.raises(StartupError, match=r"no service shop.*desk, archive"):
        async with app.running(["shop"]):
            pass


# -- what services provide


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


class Plain(Named): ...


class Awaited(Named): ...


class Generated(Named): ...


class Streamed(Named): ...


@pytest.mark.parametrize("kind", KINDS)
async def test_providers_are_made_at_start_and_closed_at_stop(kind: str, tmp_path: Path) -> None:
    """Plain, awaited, generated and asynchronously generated values are injected; generators are closed, last first."""
    (broker, store), seen = adapters(kind, tmp_path), list[object]()
    service = Service("desk", owns=[Asked])

    @service.provides
    def plain() -> Plain:
        return Plain("plain")

    @service.provides
    async def awaited() -> Awaited:
        return Awaited("awaited")

    @service.provides
    def generated() -> Iterator[Generated]:
        yield Generated("generated")
        seen.append("generated closed")

    @service.provides
    async def streamed() -> AsyncIterator[Streamed]:
        yield Streamed("streamed")
        seen.append("streamed closed")

    @service.reaction
    async def answer(asked: Asked, a: Plain, b: Awaited, c: Generated, d: Streamed, e: int = 7) -> None:
        seen.extend([a.name, b.name, c.name, d.name, e])

    app = App([service], broker=broker, store=store, observers=())
    async with app.running():
        await service.emit(Asked(number=1))
        await app.settled()
    assert seen == ["plain", "awaited", "generated", "streamed", 7, "streamed closed", "generated closed"]


async def test_what_a_service_provides_is_replaced_for_a_test() -> None:
    """App(provide=...) takes the place of a provider, which is then not called at all."""
    service, seen = Service("desk", owns=[Asked]), list[object]()

    @service.provides
    def bank() -> Named:
        raise ZeroDivisionError

    @service.reaction
    async def answer(asked: Asked, bank: Named) -> None:
        seen.append(bank.name)

    app = App([service], provide={Named: Named("of the test")}, observers=())
    async with app.running():
        await service.emit(Asked(number=1))
        await app.settled()
    assert seen == ["of the test"]


async def test_a_parameter_that_nobody_provides_is_refused_at_startup() -> None:
    """The message names the reaction, its file and line, the parameter, its type and where to provide it."""
    service = Service("desk")

    class Bank: ...

    @service.reaction
    async def answer(asked: Asked, bank: Bank) -> None:
        """Never called."""

    app = App([service], broker="memory://")
    line = answer.__code__.co_firstlineno
    said = rf"desk\.answer \(.*test_lifecycle\.py:{line}\) has the parameter 'bank' of type Bank.*@desk\.provides"
    with pytest.raises(StartupError, match=said):
        app.check()


@pytest.mark.parametrize("kind", KINDS)
async def test_rows_of_a_setup_are_there_before_the_first_reaction(kind: str, tmp_path: Path) -> None:
    """Setup runs at each start, before anything is consumed."""
    (broker, store), service = adapters(kind, tmp_path), desk()
    app = App([service], broker=broker, store=store, observers=())
    async with app.running():
        await service.emit(Asked(number=1))
        await app.settled()
        assert await rows(store, "SELECT number FROM answers") == [(1,)]
