"""The ways in which other systems are known to lose events without a word, each with what happens here instead."""

import asyncio
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from minuet import NEVER, App, Context, Event, Service, Transaction, retry
from minuet.choreography.health import examine
from minuet.errors import StoreUnavailable
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import DeadLetterFilter
from minuet.testing.signals import Signals
from tests.acceptance.clocks import ManualClock
from tests.acceptance.forked import KILLED, Forked, Parent
from tests.acceptance.pairs import JOINED, KINDS, SEPARATE, Pair, adapters, committed_until, look, pair, rows
from tests.acceptance.sabotage import refusing

DAY_SECONDS = 86_400.0
HANDLED = Outcome.HANDLED


class Placed(Event, key="order"):
    """An order came."""

    order: str


class Paid(Event, key="order"):
    """An order was paid."""

    order: str


class Shipped(Event, key="order"):
    """An order was shipped."""

    order: str


def shop(*, retries: int = 3) -> Service:
    """Writes down orders and their payments, in append-only books, and ships what is paid."""
    service = Service("shop", owns=[Placed, Paid, Shipped])

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS orders (order_id TEXT, event_id TEXT)")
        await tx.execute("CREATE TABLE IF NOT EXISTS payments (order_id TEXT, attempt INTEGER)")

    @service.reaction
    async def note(placed: Placed, tx: Transaction, context: Context) -> None:
        await tx.execute("INSERT INTO orders VALUES (?, ?)", (placed.order, context.event_id))

    @service.reaction(retry=retry(times=retries, first="1ms", most="1ms"))
    async def match(paid: Paid, tx: Transaction, context: Context) -> Shipped:
        if not await tx.fetch(int, "SELECT 1 FROM orders WHERE order_id = ?", (paid.order,)):
            raise LookupError(f"{paid.order} is not known yet")
        await tx.execute("INSERT INTO payments VALUES (?, ?)", (paid.order, context.attempt))
        return Shipped(order=paid.order)

    return service


def harbour() -> Service:
    """Another service, that writes down what was shipped."""
    service = Service("harbour")

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS loads (order_id TEXT)")

    @service.reaction
    async def load(shipped: Shipped, tx: Transaction) -> None:
        await tx.execute("INSERT INTO loads VALUES (?)", (shipped.order,))

    return service


# -- nobody is there


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_unroutable_publish(kind: str, tmp_path: Path) -> None:
    """An event on a topic that no service has ever asked for stays in the log: who comes later has it."""
    where, service = pair(kind, tmp_path), shop()
    async with App([service], **where.urls(), observers=()).connected():
        await service.emit(Shipped(order="1"))
    signals = Signals({Point.COMMITTED})
    async with App([harbour()], **where.urls(), observers=[signals]).running():
        await signals.reached(Point.COMMITTED, reaction="harbour.load")
    assert where.look("SELECT order_id FROM loads") == [("1",)]


async def test_no_subscriber() -> None:
    """An event that nobody takes is named before it is emitted, with the place of its contract."""
    app = App([shop()], broker="memory://")
    found = [finding.found for finding in examine(app.manifest) if finding.subject == "choreography.no_consumer"]
    assert len(found) == 1
    assert "Nobody takes Shipped.v1" in found[0]
    assert "test_known_losses.py:" in found[0]


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_subscriber_away(kind: str, tmp_path: Path) -> None:
    """What is emitted while no process of a service runs is there when one does."""
    where, service = pair(kind, tmp_path), shop()
    async with App([service, harbour()], **where.urls(), observers=()).running():
        pass
    async with App([service], **where.urls(), observers=()).connected():
        await service.emit(Shipped(order="1"))
    signals = Signals({Point.COMMITTED})
    async with App([harbour()], **where.urls(), observers=[signals]).running():
        await signals.reached(Point.COMMITTED, reaction="harbour.load")
    assert where.look("SELECT order_id FROM loads") == [("1",)]


# -- too early, or of nothing known


@pytest.mark.parametrize("kind", KINDS)
async def test_event_before_its_initiator(kind: str, tmp_path: Path) -> None:
    """A payment that overtakes its order fails visibly, is tried again, and is matched once the order is there."""
    (broker, store), service, signals = adapters(kind, tmp_path), shop(retries=1000), Signals()
    async with App([service], broker=broker, store=store, observers=[signals]).running():
        await service.emit(Paid(order="1"))
        await signals.reached(Point.FAILED, reaction="shop.match", outcome=Outcome.RETRY)
        await service.emit(Placed(order="1"))
        await signals.reached(Point.COMMITTED, reaction="shop.match", outcome=HANDLED)
        [(attempt,)] = await rows(store, "SELECT attempt FROM payments")
        assert attempt == 1 + (await store.counts())["shop"]["retries"] > 1


@pytest.mark.parametrize("kind", KINDS)
async def test_unknown_instance(kind: str, tmp_path: Path) -> None:
    """A payment whose order never comes is a dead letter with that reason, and is matched when it is redriven."""
    (broker, store), service, signals = adapters(kind, tmp_path), shop(), Signals()
    async with App([service], broker=broker, store=store, observers=[signals]).running():
        await service.emit(Paid(order="1"), correlation_id="never heard of")
        await signals.reached(Point.COMMITTED, reaction="shop.match", outcome=Outcome.DEAD)
        [letter] = await store.list_dead_letters(DeadLetterFilter(correlation_id="never heard of"))
        assert (letter.reason, letter.attempts, len(letter.history)) == ("retries_exhausted", 4, 4)
        assert "1 is not known yet" in letter.error
        await service.emit(Placed(order="1"))
        await signals.reached(Point.COMMITTED, reaction="shop.note")
        async with store.transaction() as unit:
            assert await unit.dead_letters.redrive(letter, time.time())
        await signals.reached(Point.COMMITTED, reaction="shop.match", outcome=HANDLED)


# -- a process dies with what it had received


@pytest.mark.slow
async def test_ack_on_receive(tmp_path: Path) -> None:
    """What a process had received and buffered when it was killed comes again to the next one, each once."""
    where, service = pair(SEPARATE, tmp_path), shop()
    async with App([service], **where.urls(), observers=()).connected():
        for number in range(500):
            await service.emit(Placed(order=str(number)))
    async with Forked(receiving, where) as process:
        await process.says("received")
        looking, _ = where.adapters()
        await looking.open()
        await committed_until(lambda: where.unfinished().get("claimed") == 500, looking)
        await looking.close()
        process.kill()
        assert await process.ended() == KILLED
    assert where.unfinished()["claimed"] == 500
    broker, store = where.adapters()
    async with App([service], broker=broker, store=store, observers=()).running():
        await committed_until(lambda: not where.unfinished(), broker, store)
    assert sorted(where.look("SELECT order_id FROM orders")) == sorted((str(number),) for number in range(500))


async def receiving(parent: Parent, where: Pair) -> None:
    """A process that receives everything, and whose first reaction takes for ever."""
    service = Service("shop", owns=[Placed])

    @service.reaction(concurrency=1)
    async def note(placed: Placed, tx: Transaction) -> None:
        parent.say("received")
        await asyncio.Event().wait()

    async with App([service], **where.urls(), observers=()).running():
        await asyncio.Event().wait()


# -- databases and brokers that fail


async def test_database_lost_during_publish(tmp_path: Path) -> None:
    """With the broker's database refusing, what is owed stays owed and said; it is published when it is back."""
    where, service, signals = pair(SEPARATE, tmp_path), shop(), Signals()
    broker, store = where.adapters()
    async with App([service], broker=broker, store=store, observers=[signals]).running():
        with refusing(where.broker, "minuet_log"):
            await service.emit(Placed(order="1"))
            trouble, error = (await signals.troubled())[0]
            assert "publishing" in trouble
            assert "the disk is full" in str(error)
            assert where.look("SELECT topic FROM minuet_outbox") == [("Placed",)]
        await signals.reached(Point.COMMITTED, reaction="shop.note")
        await committed_until(lambda: not where.unfinished(), broker, store)
    assert where.look("SELECT order_id FROM orders") == [("1",)]


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_database_lost_during_emit(kind: str, tmp_path: Path) -> None:
    """An event that could not be made durable is not reported as emitted: the caller has the error."""
    where, service = pair(kind, tmp_path), shop()
    async with App([service], **where.urls(), observers=()).connected():
        table = "minuet_log" if kind == JOINED else "minuet_outbox"
        with (
            refusing(where.store, table),
            pytest.raises(StoreUnavailable, match="not emitted: the disk is full") as told,
        ):
            await service.emit(Placed(order="1"))
        assert isinstance(told.value.__cause__, sqlite3.Error)
        await service.emit(Placed(order="2"))
    assert look(where.broker, "SELECT key FROM minuet_log") == [("2",)]


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_database_lost_during_record(kind: str, tmp_path: Path) -> None:
    """A round whose outputs could not be written is taken back as a whole and done again, with nothing doubled."""
    where, service, signals = pair(kind, tmp_path), shop(), Signals()
    broker, store = where.adapters()
    async with App([service, harbour()], broker=broker, store=store, observers=[signals]).running():
        await service.emit(Placed(order="1"))
        await signals.reached(Point.COMMITTED, reaction="shop.note")
        with refusing(where.store, "minuet_log" if kind == JOINED else "minuet_outbox", "NEW.topic = 'Shipped'"):
            await service.emit(Paid(order="1"))
            [(trouble, _)] = await signals.troubled()
            assert "recording for shop.match" in trouble
            assert where.look("SELECT count(*) FROM payments") == [(0,)]
        await signals.reached(Point.COMMITTED, reaction="harbour.load")
        await committed_until(lambda: not where.unfinished(), broker, store)
    assert where.look("SELECT order_id FROM payments") == [("1",)]
    assert where.look("SELECT order_id FROM loads") == [("1",)]


async def test_rejected_batch_entry(tmp_path: Path) -> None:
    """A broker that refuses one message has the others of its batch; that one stays owed, is said, and goes later."""
    where, service, signals = pair(SEPARATE, tmp_path), shop(), Signals()
    broker, store = where.adapters()
    async with App([service], broker=broker, store=store, observers=[signals]).running():
        with refusing(where.broker, "minuet_log", "NEW.key = 'bad'"):
            orders = ["1", "bad", "2", "bad", "3"]
            await asyncio.gather(*[service.emit(Placed(order=order), id=f"{n}") for n, order in enumerate(orders)])
            await signals.reached(Point.COMMITTED, reaction="shop.note", count=3)
            assert where.look("SELECT key, event_id FROM minuet_outbox ORDER BY id") == [("bad", "1"), ("bad", "3")]
            assert "the disk is full" in str((await signals.troubled())[0][1])
            await service.emit(Placed(order="4"))
            await signals.reached(Point.COMMITTED, reaction="shop.note", count=4)
        await committed_until(lambda: not where.unfinished(), broker, store)
    entered = [order for (order,) in where.look("SELECT order_id FROM orders")]
    assert sorted(entered) == ["1", "2", "3", "4", "bad", "bad"]
    assert where.look("SELECT event_id FROM orders WHERE order_id = 'bad' ORDER BY rowid") == [("1",), ("3",)]


# -- order of numbers and order of commits


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_serial_gap(kind: str, tmp_path: Path) -> None:
    """A transaction that took its number early and commits late is not passed over, nor does one taken back stop it."""
    where, service, signals = pair(kind, tmp_path), shop(), Signals({Point.COMMITTED})
    broker, store = where.adapters()
    async with App([service], broker=broker, store=store, observers=[signals]).running():
        with closing(sqlite3.connect(where.store, isolation_level=None)) as mine:
            mine.execute("BEGIN IMMEDIATE")
            await service.emit(Placed(order="early"), tx=mine)
            late = asyncio.create_task(service.emit(Placed(order="late")))
            await asyncio.sleep(0)
            assert signals.turns == []
            mine.execute("COMMIT")
            await late
            await committed_until(lambda: not where.unfinished(), broker, store)
            mine.execute("BEGIN IMMEDIATE")
            await service.emit(Placed(order="never"), tx=mine)
            mine.execute("ROLLBACK")
            await service.emit(Placed(order="last"))
        await signals.reached(Point.COMMITTED, key="last")
    assert where.look("SELECT order_id FROM orders ORDER BY rowid") == [("early",), ("late",), ("last",)]


# -- age


@pytest.mark.parametrize("kind", [JOINED, SEPARATE])
async def test_failed_rows_deleted_by_age(kind: str, tmp_path: Path) -> None:
    """A dead letter outlives the retention, and so does what tells its duplicates; redriven, it is handled once."""
    where, service, signals, clock = pair(kind, tmp_path), shop(retries=0), Signals(), ManualClock()
    broker, store = where.adapters()
    app = App([service], broker=broker, store=store, observers=[signals], clock=clock, retention="1s")
    async with app.running():
        await service.emit(Placed(order="old"), id="an old one")
        await service.emit(Paid(order="1"), id="the payment")
        await service.emit(Placed(order="newest"))  # the newest always stays
        await signals.reached(Point.COMMITTED, outcome=Outcome.DEAD)
        await forgotten(where, clock, "an old one")
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        await service.emit(Placed(order="1"))
        await signals.reached(Point.COMMITTED, reaction="shop.note", key="1")
        await service.emit(Paid(order="1"), id="the payment")
        await service.emit(Paid(order="1"), id="a second payment")
        await signals.reached(Point.COMMITTED, reaction="shop.match", event_id="a second payment")
        assert where.look("SELECT order_id FROM payments") == [("1",)]
        async with store.transaction() as unit:
            assert await unit.dead_letters.redrive(letter, clock.now())
        await signals.reached(Point.COMMITTED, reaction="shop.match", event_id="the payment", outcome=HANDLED)
    assert where.look("SELECT order_id FROM payments") == [("1",), ("1",)]


async def test_undelivered_outbox_message_deleted(tmp_path: Path) -> None:
    """What is owed is never too old: it is published after a week during which the broker took nothing."""
    where, service, signals, clock = pair(SEPARATE, tmp_path), shop(), Signals(), ManualClock()
    broker, store = where.adapters()
    app = App([service], broker=broker, store=store, observers=[signals], clock=clock, retention="1s")
    async with app.running():
        await service.emit(Placed(order="old"), id="an old one")
        await service.emit(Placed(order="newest"))  # the newest always stays
        await signals.reached(Point.COMMITTED, reaction="shop.note", count=2)
        with refusing(where.broker, "minuet_log"):
            await service.emit(Placed(order="1"))
            await signals.troubled()
            await forgotten(where, clock, "an old one")
            assert where.look("SELECT key FROM minuet_outbox") == [("1",)]
        await signals.reached(Point.COMMITTED, reaction="shop.note", key="1")


async def forgotten(where: Pair, clock: ManualClock, event_id: str) -> None:
    """Let weeks pass until the trimming has forgotten this settled event, in the log and in the inbox."""

    def gone() -> bool:
        clock.advance(7 * DAY_SECONDS)
        log = look(where.broker, "SELECT 1 FROM minuet_log WHERE id = ?", event_id)
        return not log and not where.look("SELECT 1 FROM minuet_inbox WHERE event_id = ?", event_id)

    broker, store = where.adapters()
    async with AsyncExitStack() as stack:
        for adapter in (broker, store):
            await adapter.open()
            stack.push_async_callback(adapter.close)
        await committed_until(gone, broker, store)


# -- identity


class Seen(Event):
    """Somebody saw something. Nobody owns that: everybody may say so."""

    what: str


def witness(name: str, *reactions: str) -> Service:
    """A service that may say what it saw, and writes down what all saw, once for each of its reactions."""
    service = Service(name)

    @service.setup
    async def notes(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS notes (who TEXT, what TEXT)")

    for reaction in reactions:

        async def write(seen: Seen, tx: Transaction, context: Context) -> None:
            await tx.execute("INSERT INTO notes VALUES (?, ?)", (f"{context.service}.{context.reaction}", seen.what))

        write.__name__ = reaction
        service.reaction(write)
    return service


@pytest.mark.parametrize("kind", KINDS)
async def test_dedup_prefix_shared_by_two_sources(kind: str, tmp_path: Path) -> None:
    """One id from two sources is two events; from one source, and said twice, it is one."""
    (broker, store), signals = adapters(kind, tmp_path), Signals({Point.COMMITTED})
    north, south = witness("north", "write"), witness("south")
    async with App([north, south], broker=broker, store=store, observers=[signals]).running():
        await north.emit(Seen(what="snow"), id="1")
        await south.emit(Seen(what="sun"), id="1")
        await north.emit(Seen(what="snow"), id="1")
        await south.emit(Seen(what="end"), id="2")
        await signals.reached(Point.COMMITTED, event_id="2")
        assert sorted(await rows(store, "SELECT what FROM notes")) == [("end",), ("snow",), ("sun",)]


@pytest.mark.parametrize("kind", KINDS)
async def test_dedup_prefix_shared_by_two_consumers(kind: str, tmp_path: Path) -> None:
    """Each reaction of each service has an event once, whatever the others had before, and whoever is called alike."""
    (broker, store), signals = adapters(kind, tmp_path), Signals({Point.COMMITTED})
    services = [witness("north", "a", "b"), witness("north_a", "a"), witness("south", "a")]
    everybody = ["north.a", "north.b", "north_a.a", "south.a"]
    async with App(services, broker=broker, store=store, observers=[signals]).running():
        for _ in range(2):
            await services[0].emit(Seen(what="snow"), id="1")
        await services[0].emit(Seen(what="end"), id="2")
        await signals.reached(Point.COMMITTED, event_id="2", count=4)
        noted = await rows(store, "SELECT who FROM notes WHERE what = 'snow' ORDER BY who")
        assert [who for (who,) in noted] == everybody


# -- dead letters beside what is owed


async def test_dead_letter_with_undelivered_outputs(tmp_path: Path) -> None:
    """A dead reaction's letter and what another reaction to the event owes are both in sight, and go their own ways."""
    where, service, signals = pair(SEPARATE, tmp_path), shop(), Signals()
    broker, store = where.adapters()
    mended = asyncio.Event()

    @service.reaction(retry=NEVER)
    async def account(paid: Paid) -> None:
        if not mended.is_set():
            raise RuntimeError("no ink")

    async with App([service, harbour()], broker=broker, store=store, observers=[signals]).running():
        await service.emit(Placed(order="1"))
        await signals.reached(Point.COMMITTED, reaction="shop.note")
        with refusing(where.broker, "minuet_log", "NEW.topic = 'Shipped'"):
            await service.emit(Paid(order="1"))
            await signals.reached(Point.COMMITTED, reaction="shop.account", outcome=Outcome.DEAD)
            await signals.reached(Point.COMMITTED, reaction="shop.match", outcome=HANDLED)
            assert [owed.message.topic for owed in await store.owed()] == ["Shipped"]
            [letter] = await store.list_dead_letters(DeadLetterFilter())
            mended.set()
            async with store.transaction() as unit:
                assert await unit.dead_letters.redrive(letter, time.time())
            await signals.reached(Point.COMMITTED, reaction="shop.account", outcome=HANDLED)
        await signals.reached(Point.COMMITTED, reaction="harbour.load")
        await committed_until(lambda: not where.unfinished(), broker, store)
    assert where.look("SELECT order_id FROM payments") == [("1",)]
    assert where.look("SELECT order_id FROM loads") == [("1",)]
