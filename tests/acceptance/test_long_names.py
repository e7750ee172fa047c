"""Ids, keys and instances of any length: what minuet emits is bounded, what others publish is handled or dies."""

import asyncio
import secrets
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from minuet import App, Context, Event, Service, Transaction, Writes, retry
from minuet.brokers.kafka.place import KafkaPlace
from minuet.brokers.kafka.removal import remove
from minuet.config import open_broker, open_store
from minuet.errors import EnvelopeRejected
from minuet.ports.broker import Broker, Group, Message
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import DeadLetterFilter, Store
from minuet.testing.signals import Signals
from tests.acceptance.pairs import KINDS, adapters
from tests.acceptance.postgres_pairs import POSTGRES, POSTGRES_SEPARATE, postgres_pair
from tests.contract.rabbitmq_places import forget
from tests.contract.servers import needs, url_of

ON_POSTGRES = [pytest.param(kind, marks=needs("postgres")) for kind in (POSTGRES, POSTGRES_SEPARATE)]
FOREIGN = [
    pytest.param("memory", True, marks=needs("postgres")),
    pytest.param("memory", False, marks=needs("postgres")),
    pytest.param("postgres", False, marks=needs("postgres")),
    *(
        pytest.param(kind, beside, marks=[*needs("postgres"), *needs(kind), pytest.mark.slow])
        for kind in ("kafka", "rabbitmq")
        for beside in (True, False)
    ),
]
"""Where others publish, with a store in PostgreSQL; and whether id and source stand beside the bytes as well."""
LONG = 6000
FITS = ["x" * 1024, secrets.token_hex(512), "\U0001f40c" * 256]
"""As long as may be, in bytes."""


class Noted(Event, key="key"):
    """Something was noted."""

    key: str
    number: int = 0


class Echoed(Event, key="key"):
    """It was said again."""

    key: str


def desk(repeats: int = 1) -> Service:
    """Notes what comes in either lane, and says each key again and again, joined."""
    service = Service("desk", owns=[Noted, Echoed])

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS notes (lane TEXT, number INTEGER, id TEXT)")

    @service.reaction
    async def note(noted: Noted, tx: Transaction, context: Context) -> None:
        await tx.execute("INSERT INTO notes VALUES ('tx', ?, ?)", (noted.number, context.event_id))

    @service.reaction
    async def write(noted: Noted, writes: Writes, context: Context) -> None:
        writes.execute("INSERT INTO notes VALUES ('writes', ?, ?)", (noted.number, context.event_id))

    @service.reaction
    async def echo(noted: Noted) -> Echoed:
        return Echoed(key=noted.key * repeats)

    return service


async def notes(store: Store, lane: str) -> list[tuple[int, str]]:
    """What a lane has noted, by its number."""
    async with store.transaction() as unit:
        found = await unit.transaction.fetch(
            dict[str, str], "SELECT CAST(number AS TEXT) AS number, id FROM notes WHERE lane = ?", (lane,)
        )
    return sorted((int(row["number"]), row["id"]) for row in found)


@asynccontextmanager
async def places(kind: str, directory: Path) -> AsyncGenerator[tuple[Broker, Store]]:
    """A broker and a store of this kind, as an App takes them."""
    if kind in KINDS:
        yield adapters(kind, directory)
        return
    made = postgres_pair(kind)
    try:
        yield made.adapters()
    finally:
        made.dropped()


@pytest.mark.parametrize("kind", [*KINDS, *ON_POSTGRES])
async def test_what_is_too_long_is_refused_where_it_is_emitted(kind: str, tmp_path: Path) -> None:
    """In prose, and whoever emits at the same moment is none the worse for it."""
    async with places(kind, tmp_path) as (broker, store):
        service = desk()
        async with App([service], broker=broker, store=store, observers=()).connected():
            for size in (1025, LONG):
                long = "x" * size
                for words, refused in (
                    ({"key": long}, f"The key of Noted.v1 (declared at {Noted.__contract__.place}) has {size:,} bytes"),
                    ({"id": long}, f"id= of desk.emit(Noted.v1) has {size:,} bytes in UTF-8, and at most 1,024"),
                    ({"correlation_id": long}, f"correlation_id= of desk.emit(Noted.v1) has {size:,} bytes"),
                ):
                    first, wrong, last = await asyncio.gather(
                        service.emit(Noted(key="a")),
                        service.emit(Noted(key=words.pop("key", "a")), **words),
                        service.emit(Noted(key="a")),
                        return_exceptions=True,
                    )
                    assert isinstance(first, str)
                    assert isinstance(last, str)
                    assert isinstance(wrong, EnvelopeRejected)
                    assert str(wrong).startswith(refused)


@pytest.mark.parametrize("kind", [*KINDS, *ON_POSTGRES])
async def test_what_is_as_long_as_may_be_is_handled(kind: str, tmp_path: Path) -> None:
    """In bytes, whatever the characters: it is handled in both lanes, once, also when it is emitted twice."""
    async with places(kind, tmp_path) as (broker, store):
        service, signals = desk(), Signals()
        async with App([service], broker=broker, store=store, observers=[signals]).running() as app:
            for number, name in enumerate(FITS):
                for _ in range(2):
                    await service.emit(Noted(key=name, number=number), id=name, correlation_id=name)
            await app.settled()
            for lane in ("tx", "writes"):
                assert await notes(store, lane) == list(enumerate(FITS))
        assert signals.troubles == []


@pytest.mark.parametrize("kind", [*KINDS, *ON_POSTGRES])
async def test_a_reaction_that_emits_a_long_key_is_a_dead_letter(kind: str, tmp_path: Path) -> None:
    """It is told at once that nobody could look it up; no retry would mend that."""
    async with places(kind, tmp_path) as (broker, store):
        service, signals = desk(repeats=LONG), Signals()
        async with App([service], broker=broker, store=store, observers=[signals]).running() as app:
            await service.emit(Noted(key="a"))
            await app.settled()
            [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert (letter.consumer, letter.reason, letter.attempts) == ("desk.echo", "envelope", 1)
        assert "The key of Echoed.v1 (declared at " in letter.error
        assert signals.troubles == []


# -- what others publish


class Foreign(Event, name=f"Foreign{uuid.uuid4().hex[:8]}"):
    """Somebody else's event: key and id are theirs."""

    number: int


def foreign(number: int, name: str, *, beside: bool, data: str | None = None) -> Message:
    """An event whose every name is long, in bytes that say so, and beside them or not."""
    body = (
        f'{{"specversion":"1.0","type":"{Foreign.__contract__.type}","source":"/{name}","id":"{name}{number}",'
        f'"correlationid":"{name}","partitionkey":"{name}","data":{data or f"""{{"number":{number}}}"""}}}'
    )
    identity = (f"{name}{number}", f"/{name}") if beside else (None, None)
    return Message(Foreign.__contract__.topic, name, *identity, None, body)


@asynccontextmanager
async def elsewhere(kind: str) -> AsyncGenerator[tuple[Broker, Store]]:
    """A broker of this kind, and a store in PostgreSQL."""
    made, server, name = postgres_pair(POSTGRES_SEPARATE), url_of(kind) or "", f"long{uuid.uuid4().hex[:8]}"
    url = {
        "memory": "memory://",
        "postgres": made.broker,
        "kafka": f"{server}?prefix={name}.",
        "rabbitmq": urlsplit(server)._replace(query=f"exchange={name}").geturl(),
    }[kind]
    try:
        yield open_broker(url), open_store(made.store)
    finally:
        made.dropped()
        if kind == "kafka":
            await asyncio.to_thread(remove, KafkaPlace.from_url(url))
        if kind == "rabbitmq":
            await forget(url, Group("reader", "reader", (Foreign.__contract__.topic,)))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("kind", "beside"), FOREIGN)
async def test_long_foreign_names_end_in_their_order(kind: str, *, beside: bool) -> None:
    """Each is handled once in both lanes, in the order of its key although the first fails at first; what is no event
    of the contract is a dead letter; and nothing is tried for ever.
    """
    had: dict[str, list[int]] = {"tx": [], "plain": []}
    failed = set[str]()
    service, signals = Service("reader"), Signals()
    policy = retry(times=3, first="1ms", most="2ms")

    def take(lane: str, event: Foreign) -> None:
        if lane not in failed:
            failed.add(lane)
            raise ValueError("not yet")
        had[lane].append(event.number)

    @service.reaction(retry=policy)
    async def joined(event: Foreign, tx: Transaction) -> None:
        take("tx", event)

    @service.reaction(retry=policy)
    async def plain(event: Foreign) -> None:
        take("plain", event)

    long = secrets.token_hex(LONG // 2)
    async with elsewhere(kind) as (broker, store):
        async with App([service], broker=broker, store=store, observers=[signals]).running() as app:
            good = [foreign(number, long, beside=beside) for number in range(5)]
            await broker.publish([*good, foreign(9, long, beside=beside, data='"no"')])
            await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=10)
            await broker.publish([foreign(number, long, beside=beside) for number in range(5, 7)])
            await broker.publish(good)
            await signals.reached(Point.COMMITTED, outcome=Outcome.HANDLED, count=14)
            await signals.reached(Point.COMMITTED, outcome=Outcome.DEAD, count=2)
            await app.settled()
            letters = await store.list_dead_letters(DeadLetterFilter(correlation_id=long, key=long))
        assert had == {"tx": list(range(7)), "plain": list(range(7))}
        assert [(letter.reason, letter.consumer) for letter in sorted(letters, key=lambda each: each.consumer)] == [
            ("payload", "reader.joined"),
            ("payload", "reader.plain"),
        ]
        assert signals.troubles == []
