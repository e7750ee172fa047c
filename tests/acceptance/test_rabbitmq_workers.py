"""Workers of one service on RabbitMQ come, go, die and stand still; its server dies: order by key holds, nothing is
lost, and nothing is done twice.
"""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from minuet import App
from minuet.databases.sqlite.neighbours import WriteLock
from minuet.ports.broker import Group
from minuet.testing.signals import Signals
from tests.acceptance.rabbit_tills import ENTRIES, Bought, customers, tills
from tests.contract.rabbitmq_places import forget
from tests.contract.servers import needs, url_of
from tools.services.fleet import Services
from tools.services.rabbitmq import RabbitMQ

pytestmark = [*needs("rabbitmq"), pytest.mark.slow, pytest.mark.timeout(300)]
PROGRAM = Path(__file__).with_name("rabbit_tills.py")
TILLS = 60
AHEAD = 400
"""How many events are on their way at most, so that workers come and go while there is work."""


async def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Look again and again until it holds."""
    end, quiet = asyncio.get_running_loop().time() + seconds, asyncio.Event()
    while not condition():
        assert asyncio.get_running_loop().time() < end, f"{what}: not within {seconds} seconds"
        await asyncio.wait([asked := asyncio.ensure_future(quiet.wait())], timeout=0.02)
        asked.cancel()


class Shop:
    """The tills of one test: who works there, what was bought, and what was entered."""

    def __init__(self, broker: str, folder: Path) -> None:
        self.broker = broker
        self.file = folder / "tills.db"
        self.store, self.outbox = f"sqlite:///{self.file}", f"sqlite:///{folder / 'customers.db'}"
        self.bought = 0
        self.workers: list[subprocess.Popen[bytes]] = []
        self.log = (folder / "workers.log").open("wb")

    def app(self) -> App:
        """A worker in this process."""
        return App([tills], broker=self.broker, store=self.store)

    async def open(self) -> None:
        """Exchanges, queues and tables."""
        async with self.app().running():
            pass

    def entries(self) -> list[tuple[str, int, int]]:
        with closing(sqlite3.connect(self.file, timeout=30)) as file:
            return file.execute(ENTRIES).fetchall()

    def by_process(self, since: int = 0) -> Counter[int]:
        return Counter(process for _, _, process in self.entries()[since:])

    async def join(self) -> subprocess.Popen[bytes]:
        """A new worker, that has got a share of the work."""
        command = [sys.executable, str(PROGRAM), self.broker, self.store]
        worker = await asyncio.to_thread(subprocess.Popen, command, stderr=self.log)
        self.workers.append(worker)
        await until(lambda: self.by_process()[worker.pid] >= 20, f"a share for {worker.pid}, the newest worker")
        return worker

    async def ends(self, worker: subprocess.Popen[bytes], how: signal.Signals) -> None:
        worker.send_signal(how)
        await asyncio.to_thread(worker.wait, 30)
        self.workers.remove(worker)
        here = len(self.entries())
        await until(lambda: len(self.entries()) > here + AHEAD, f"work after {worker.pid} was gone")

    @asynccontextmanager
    async def buying(self) -> AsyncIterator[None]:
        """Somebody buys all the time, as long as the block lasts."""
        async with App([customers], broker=self.broker, store=self.outbox).connected():
            buyer = asyncio.create_task(self._buy())
            try:
                yield
            finally:
                buyer.cancel()
                await asyncio.wait([buyer])
            await until(lambda: len(self.entries()) >= self.bought, "the entry of everything that was bought")
        assert buyer.cancelled(), buyer.exception()

    async def _buy(self) -> None:
        while True:
            await until(lambda: self.bought - len(self.entries()) < AHEAD, "work that goes on")
            some = [
                Bought(till=f"till {number % TILLS}", number=number // TILLS)
                for number in range(self.bought, self.bought + TILLS)
            ]
            self.bought += TILLS  # of a cancelled round all are emitted: each emission is on its way by then
            await asyncio.shield(asyncio.gather(*(customers.emit(event) for event in some)))

    def check(self) -> None:
        """Each till's events were entered in order, each once, and all of them."""
        found: dict[str, list[int]] = {}
        for till, number, _ in self.entries():
            found.setdefault(till, []).append(number)
        assert found == {f"till {till}": list(range(self.bought // TILLS)) for till in range(TILLS)}

    def close(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.kill()
            worker.wait()
        self.log.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Tills on the shared server, with an exchange of their own."""
    shop = Shop(f"{url_of('rabbitmq')}?exchange=minuet-{uuid.uuid4().hex[:8]}&heartbeat=2", tmp_path)
    yield shop
    shop.close()
    asyncio.run(forget(shop.broker, Group("tills", "tills", ("Bought",))))


async def test_workers_join_and_leave_ten_times(shop: Shop) -> None:
    """Six come, four go, half of those by SIGKILL; each that comes gets a share, and each key keeps its order."""
    kill, leave = signal.SIGKILL, signal.SIGTERM
    await shop.open()
    async with shop.buying():
        first = await shop.join()
        second = await shop.join()
        await shop.ends(first, kill)
        third = await shop.join()
        await shop.ends(second, leave)
        fourth = await shop.join()
        await shop.ends(third, kill)
        await shop.join()
        await shop.join()
        await shop.ends(fourth, leave)
        here = len(shop.entries())
        living = {worker.pid for worker in shop.workers}
        await until(lambda: set(shop.by_process(here)) == living, "work of all who are left")
    shop.check()


async def test_a_worker_that_stood_still_does_nothing_twice(shop: Shop) -> None:
    """Stopped for so long that others have its queues, and then awake again, with deliveries that were its own: no
    event is entered twice or before an earlier one of its till, and it gets a share again.
    """
    await shop.open()
    async with shop.buying():
        frozen = await shop.join()
        await shop.join()
        await until(lambda: shop.by_process()[frozen.pid] > 200, "much work of the first")
        await freeze(frozen, shop.file)
        here = shop.bought
        # Its queues stand still until the server has given it up.
        await until(lambda: len(shop.entries()) > here + 2 * AHEAD, "work of the other in its place")
        assert frozen.poll() is None
        awake = len(shop.entries())
        frozen.send_signal(signal.SIGCONT)
        await until(lambda: shop.by_process(awake)[frozen.pid] > 20, "a share for the one that is awake again")
    shop.check()


async def freeze(worker: subprocess.Popen[bytes], file: Path) -> None:
    """Stop it while it does not write: what it has of the file would be locked for all until it goes on."""
    lock = WriteLock(file.with_name(f"{file.name}-minuet"))
    with closing(lock):
        for _ in range(200):
            worker.send_signal(signal.SIGSTOP)
            await asyncio.to_thread(os.waitpid, worker.pid, os.WUNTRACED)
            try:
                await until(lock.try_acquire, "the lock", seconds=0.5)
            except AssertionError:
                worker.send_signal(signal.SIGCONT)
                continue
            lock.release()
            return
    raise AssertionError("it was writing whenever it was stopped")


async def test_the_server_dies_in_the_middle(tmp_path: Path) -> None:
    """Killed twice and started again: what was owed is published again, what was under way comes again, once each."""
    services = Services(tmp_path / "servers", servers=[RabbitMQ()], environment={})
    try:
        url = (await asyncio.to_thread(services.start)).urls["rabbitmq"]
        shop, signals = Shop(f"{url}?heartbeat=2", tmp_path), Signals(())
        async with shop.app().running():
            pass  # now there are queues; a server that is killed just after it made one may lose it (decision 15)
        await asyncio.to_thread(services.restart, "rabbitmq")
        async with App([tills], broker=url, store=shop.store, observers=[signals]).running(), shop.buying():
            for _ in range(2):
                here = len(shop.entries())
                await until(lambda here=here: len(shop.entries()) > here + 1000, "a thousand entries")
                await asyncio.to_thread(services.kill, "rabbitmq")
            here = len(shop.entries())
            await until(lambda: len(shop.entries()) > here + 1000, "entries after the last kill")
        shop.check()
        assert signals.troubles  # the connections were lost indeed
        shop.close()
    finally:
        await asyncio.to_thread(services.stop)
