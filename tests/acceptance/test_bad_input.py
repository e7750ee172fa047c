"""Whatever comes from a broker, a worker goes on: each message is handled, a dead letter or a known duplicate."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from minuet import App, Context, Event, Service, Transaction, Writes
from minuet.brokers.sqlite import SqliteBroker
from minuet.ports.broker import Broker
from minuet.ports.observer import Point, Turn
from tests.acceptance.fuzz import TOPIC, Fate, Fuzzer
from tests.acceptance.pairs import KINDS, MEMORY, adapters, rows

MESSAGES = 100_000
BATCH = 2_000
SEED = 20111209


class Part(msgspec.Struct):
    name: str
    share: float


class Weighed(Event, name=TOPIC):
    """Something was weighed."""

    scale: str
    grams: int
    parts: list[Part]


def scales(lane: str = "transactional") -> Service:
    """Writes down each event that it is given."""
    service = Service("scales")
    insert = "INSERT INTO weighings VALUES (?, ?, ?)"

    @service.setup
    async def weighings(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS weighings (event_id TEXT, scale TEXT, grams INTEGER)")

    if lane == "transactional":

        @service.reaction
        async def weigh(weighed: Weighed, tx: Transaction, context: Context) -> None:
            await tx.execute(insert, (context.event_id, weighed.scale, str(weighed.grams)))

    else:

        @service.reaction
        async def weigh(weighed: Weighed, writes: Writes, context: Context) -> None:
            writes.execute(insert, (context.event_id, weighed.scale, str(weighed.grams)))

    return service


class Count:
    """How many turns ended in which way, and a signal once they are as many as expected."""

    points = frozenset({Point.COMMITTED, Point.DUPLICATE})

    def __init__(self) -> None:
        self.ended = Counter[str]()
        self.troubles: list[tuple[str, BaseException]] = []
        self._expected = -1
        self._reached = asyncio.Event()

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        self.ended.update(str(turn.outcome or point) for turn in turns)
        self._look()

    def trouble(self, where: str, error: BaseException) -> None:
        self.troubles.append((where, error))
        self._reached.set()

    async def until(self, expected: int) -> None:
        """Wait for this many turns, or for trouble."""
        self._expected = expected
        self._look()
        await self._reached.wait()

    def _look(self) -> None:
        if self.ended.total() == self._expected:
            self._reached.set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lane", "messages"), [("transactional", MESSAGES), ("concurrent", MESSAGES // 20)])
async def test_fuzzed_messages_are_all_accounted_for(lane: str, messages: int, kind: str, tmp_path: Path) -> None:
    """100,000 messages, many of them wrong: no trouble, and handled, dead and absorbed add up to all of them."""
    fuzzed = list(Fuzzer(SEED).make(messages))
    broker, store = adapters(kind, tmp_path)
    count = Count()
    async with App([scales(lane)], broker=broker, store=store, observers=[count]).running():
        for first in range(0, messages, BATCH):
            await broker.publish([one.message for one in fuzzed[first : first + BATCH]])
        absorbed_by_log = messages - await taken_by_log(broker, kind, messages)
        await count.until(messages - absorbed_by_log)
        assert count.troubles == []
        written = Counter(str(event_id) for (event_id,) in await rows(store, "SELECT event_id FROM weighings"))
        letters = (await rows(store, "SELECT count(*) FROM minuet_dead_letters"))[0][0]
        counts = (await store.counts())["scales"]
    fates = Counter(one.fate for one in fuzzed)
    absorbed = absorbed_by_log + counts.get("duplicates_absorbed", 0)
    assert written.total() == count.ended["handled"]
    assert letters == count.ended["dead"] == counts["dead_letters"]
    assert written.total() + letters + absorbed == messages
    assert written.total() >= fates[Fate.HANDLED]
    assert letters >= fates[Fate.DEAD]
    assert absorbed >= fates[Fate.DUPLICATE]


async def taken_by_log(broker: Broker, kind: str, published: int) -> int:
    """How many of the published messages the log has; it takes none that it knows already."""
    if kind == MEMORY:
        return published
    assert isinstance(broker, SqliteBroker)
    [(kept,)] = await broker.database.read("SELECT count(*) FROM minuet_log")
    return int(str(kept))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_foreign_event_is_known_again_by_its_bytes(kind: str, tmp_path: Path) -> None:
    """A message whose identity stands only in its body or headers is absorbed when it comes again."""
    (broker, store), count = adapters(kind, tmp_path), Count()
    fuzzer = Fuzzer(SEED)
    foreign = [
        msgspec.structs.replace(one.message, id=None, source=None)
        for one in (fuzzer.valid(), fuzzer.valid_in_headers(), fuzzer.valid())
    ]
    async with App([scales()], broker=broker, store=store, observers=[count]).running():
        for _ in range(2):
            await broker.publish(foreign)
        await count.until(2 * len(foreign))
        assert count.ended == {"handled": len(foreign), "duplicate": len(foreign)}
        assert count.troubles == []
        assert (await store.counts())["scales"]["duplicates_absorbed"] == len(foreign)


async def test_half_a_character_is_refused_where_it_is_published(tmp_path: Path) -> None:
    """Text that no encoding can carry does not get into a broker to poison who takes it out."""
    for kind in KINDS:
        broker, _ = adapters(kind, tmp_path / kind)
        (tmp_path / kind).mkdir()
        await broker.open()
        whole = Fuzzer(SEED).valid().message
        for field, value in (("key", "\ud800"), ("id", "\ud800"), ("headers", {"ce-id": "\ud800"}), ("body", "\ud800")):
            broken = msgspec.structs.replace(whole, **{field: value})
            with pytest.raises((UnicodeError, ValueError)):
                await broker.publish([whole, broken])
        await broker.close()
