"""A consumer that is a hundred times slower than its producer: what it cannot take yet waits with the broker."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

import pytest

from minuet.config import open_store
from minuet.demo.places import own, remove
from tests.acceptance.forked import Forked
from tests.acceptance.slow_shop import Made, serve, shop
from tests.contract.servers import needs, url_of

pytestmark = pytest.mark.slow
PAIRS = [
    pytest.param("postgres", marks=needs("postgres")),
    pytest.param("kafka", marks=[*needs("kafka"), *needs("postgres")]),
    pytest.param("rabbitmq", marks=[*needs("rabbitmq"), *needs("postgres")]),
]
TIMES = 100
"""How much slower the slow service is."""
TOGETHER = 50
MOST_MEGABYTES = 80
"""How much the slow service's process may grow; what is made meanwhile is more."""
LATE_SECONDS = 10
"""How late the quick service may be on a busy machine, with as many events as come together; the slow one is hours."""


class Stretch(NamedTuple):
    """How long is produced, how much at least, and how many bytes an event has."""

    seconds: float
    megabytes: int
    load_bytes: int


@pytest.fixture
def where(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The URLs of a broker and of PostgreSQL, each with a place of the test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    urls = own(url_of(request.param) or "", name), own(url_of("postgres") or "", name)
    yield urls
    asyncio.run(remove(shop(*urls)[0], *urls))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", PAIRS, indirect=True)
def test_a_slow_consumer_costs_no_memory_and_nobody_else(where) -> None:
    """In short: more is made than the process of the slow service may hold."""
    asyncio.run(pressed(*where, Stretch(seconds=2, megabytes=2 * MOST_MEGABYTES, load_bytes=16384)))


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("where", PAIRS, indirect=True)
def test_a_minute_of_a_slow_consumer(where) -> None:
    """The same for a minute."""
    asyncio.run(pressed(*where, Stretch(seconds=60, megabytes=2 * MOST_MEGABYTES, load_bytes=8192)))


async def pressed(broker: str, store: str, stretch: Stretch) -> None:
    """Produce for a stretch beside a quick and a slow service; then let the slow one hurry, and count."""
    app, factory = shop(broker, store)
    looking = open_store(store)
    async with Forked(serve, broker, store, "quick") as quick, Forked(serve, broker, store, "slow") as slow:
        await quick.hears()
        before = int(await slow.hears())
        await looking.open()
        try:
            async with app.connected():
                made = await produced(factory, stretch)

                await until(lambda: has_all(looking, "quick", made))
                taken, _ = await counted(looking, "slow")
                assert taken * TIMES <= made, f"{taken} of {made}: it was not slow enough to tell"
                async with asyncio.timeout(LATE_SECONDS):
                    made = await emitted(factory, made, stretch.load_bytes)
                    await until(lambda: has_all(looking, "quick", made))
                slow.tell("hurry")
                most, _, warned = (await slow.hears()).partition(" ")
                grown = int(most) - before
                assert grown < MOST_MEGABYTES * 1024, f"{grown // 1024} MB more. It warned: {warned or 'of nothing'}"
                await until(lambda: has_all(looking, "slow", made))
        finally:
            await looking.close()


async def produced(factory, stretch: Stretch) -> int:
    """Emit for so long, and so much at least, as fast as it goes; how many."""
    made, ends = 0, time.monotonic() + stretch.seconds
    while time.monotonic() < ends or made * stretch.load_bytes < stretch.megabytes << 20:
        made = await emitted(factory, made, stretch.load_bytes)
    return made


async def emitted(factory, made: int, load_bytes: int) -> int:
    """Emit a few more; how many there are now."""
    load, numbers = "x" * load_bytes, range(made, made + TOGETHER)
    await asyncio.gather(*(factory.emit(Made(number=str(number), load=load)) for number in numbers))
    return numbers.stop


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it holds; another database's commits make no sound here."""
    quiet = asyncio.Event()
    async with asyncio.timeout(300):
        while not await condition():
            await asyncio.wait([asked := asyncio.ensure_future(quiet.wait())], timeout=0.2)
            asked.cancel()


async def has_all(looking, table: str, made: int) -> bool:
    """Whether a table has everything that was made, once."""
    return await counted(looking, table) == (made, made)


async def counted(looking, table: str) -> tuple[int, int]:
    """How many rows a table has, and how many different ones."""
    [(rows, numbers)] = await looking.database.read(f"SELECT count(*), count(DISTINCT number) FROM {table}")
    return int(rows), int(numbers)
