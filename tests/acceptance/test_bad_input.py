"""Whatever comes from a broker, a worker goes on: each message is handled, a dead letter or a known duplicate."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from minuet import App, Context, Event, Service, Transaction
from minuet.ports.broker import Broker
from minuet.ports.observer import Point, Turn
from minuet.ports.store import Store
from tests.acceptance.fuzz import TOPIC, Fate, Fuzzer
from tests.acceptance.pairs import KINDS, adapters, rows

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


def scales() -> Service:
    """Writes down each event that it is given."""
    service = Service("scales")

    @service.setup
    async def weighings(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS weighings (event_id TEXT, scale TEXT, grams INTEGER)")

    @service.reaction
    async def weigh(weighed: Weighed, tx: Transaction, context: Context) -> None:
        row = (context.event_id, weighed.scale, str(weighed.grams))
        await tx.execute("INSERT INTO weighings VALUES (?, ?, ?)", row)

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
async def test_fuzzed_messages_are_all_accounted_for(kind: str, tmp_path: Path) -> None:
    """100,000 messages, most of them wrong: no trouble, and handled, dead and absorbed add up to all of them."""
    fuzzed = list(Fuzzer(SEED).make(MESSAGES))
    broker, store = adapters(kind, tmp_path)
    count = Count()
    async with App([scales()], broker=broker, store=store, observers=[count]).running():
        for first in range(0, MESSAGES, BATCH):
            await broker.publish([one.message for one in fuzzed[first : first + BATCH]])
        absorbed_by_log = await absorbed_at_once(broker, store, kind)
        await count.until(MESSAGES - absorbed_by_log)
        assert count.troubles == []
        written = Counter(str(event_id) for (event_id,) in await rows(store, "SELECT event_id FROM weighings"))
        letters = (await rows(store, "SELECT count(*) FROM minuet_dead_letters"))[0][0]
        counts = (await store.counts())["scales"]
    fates = Counter(one.fate for one in fuzzed)
    absorbed = absorbed_by_log + counts.get("duplicates_absorbed", 0)
    assert written.total() == count.ended["handled"]
    assert letters == count.ended["dead"] == counts["dead_letters"]
    assert written.total() + letters + absorbed == MESSAGES
    assert written.total() >= fates[Fate.HANDLED]
    assert letters >= fates[Fate.DEAD]
    assert absorbed >= fates[Fate.DUPLICATE]


async def absorbed_at_once(broker: Broker, store: Store, kind: str) -> int:
    """How many of the published messages the log knew already and did not take again."""
    if kind == "memory":
        return 0
    [(kept,)] = await broker.database.read("SELECT count(*) FROM minuet_log")
    return MESSAGES - kept


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
