"""A database that is away for seconds: who lives goes on with what it runs, and nobody takes it for dead."""

import asyncio
from collections.abc import Iterator

import pytest

from minuet import NEVER, App, Event, Service, retry
from minuet.testing.signals import Signals
from tests.acceptance.outages import away, present
from tests.acceptance.postgres_pairs import POSTGRES, POSTGRES_SEPARATE, PostgresPair, postgres_pair
from tests.contract.servers import needs

pytestmark = [*needs("postgres"), pytest.mark.slow]

TRIES = 14
"""How often each process finds the database away, four times a second: so it gives up hoping for a quick return."""
JOBS = 6


class Job(Event, key="name"):
    """Somebody outside is to be called."""

    name: str


class Worker:
    """One process of the app, as far as the database can tell: its own adapters, its own lock."""

    def __init__(self, where: PostgresPair, begun: list[str], gate: asyncio.Event) -> None:
        self.shop, calls = Service("shop", owns=[Job]), Service("calls")
        self.signals = Signals(())

        @calls.reaction(retry=NEVER)
        async def call_once(job: Job) -> None:
            begun.append(f"once {job.name}")
            await gate.wait()

        @calls.reaction(retry=retry(times=5))
        async def call(job: Job) -> None:
            begun.append(f"again {job.name}")
            await gate.wait()

        self.app = App([self.shop, calls], **where.urls(), observers=[self.signals])


@pytest.fixture(params=[POSTGRES, POSTGRES_SEPARATE])
def where(request) -> Iterator[PostgresPair]:
    pair = postgres_pair(request.param)
    yield pair
    pair.dropped()


def test_who_lives_is_not_taken_for_dead_after_an_outage(where) -> None:
    """What three live processes run when the database goes away for seconds is run once, and there is no letter."""
    begun = list[str]()

    async def play() -> None:
        gate = asyncio.Event()
        workers = [Worker(where, begun, gate) for _ in range(3)]
        async with workers[0].app.running(), workers[1].app.running(), workers[2].app.running():
            for number in range(JOBS):
                await workers[0].shop.emit(Job(name=f"{number}"))
            async with asyncio.timeout(60):
                while len(begun) < 2 * JOBS:  # noqa: ASYNC110  # a reaction that waits tells no observer
                    await asyncio.sleep(0)
                with away(where.store):
                    for worker in workers:
                        met = len(worker.signals.troubles)
                        await worker.signals.troubled(count=met + TRIES)
                while await asyncio.to_thread(present, where.store) < len(workers):  # noqa: ASYNC110
                    await asyncio.sleep(0)
            gate.set()
            for worker in workers:
                await where.worked_off(worker.app)

    asyncio.run(play())
    assert sorted(begun) == sorted(f"{how} {number}" for number in range(JOBS) for how in ("once", "again"))
    assert where.look("SELECT consumer, reason FROM minuet_dead_letters") == []
