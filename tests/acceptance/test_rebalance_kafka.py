"""Processes of one service come and go on Kafka, and one that hangs comes back: order by key, each effect once."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from minuet import App, Service
from tests.acceptance.accounts import NAMES, Moved, accounts
from tests.acceptance.pairs import look as look_in_sqlite
from tests.acceptance.postgres_pairs import beside, command, create, database_of
from tests.acceptance.postgres_pairs import look as look_in_postgres
from tests.contract.servers import needs, url_of

pytestmark = [*needs("kafka"), *needs("postgres"), pytest.mark.slow, pytest.mark.timeout(240)]

PATIENCE_SECONDS = 60.0
NUDGE_SECONDS = 0.05
AHEAD = 1500
"""How many events are published and not handled yet while processes come and go."""
BETWEEN = 600
"""How many events are handled between two changes."""
CHANGES = ("join", "join", "kill", "join", "leave", "join", "kill", "kill", "join", "leave", "join", "kill")


class Books:
    """A store of a test's own, seen from outside."""

    def __init__(self, url: str, look: Callable[[str], list[tuple[object, ...]]]) -> None:
        self.url = url
        self.look = look

    def count(self) -> int:
        """How many entries there are."""
        [(count,)] = self.look("SELECT count(*) FROM entries")
        return int(str(count))

    def processes(self) -> set[object]:
        """Who has written any."""
        return {process for (process,) in self.look("SELECT DISTINCT process FROM entries")}

    def absorbed(self) -> int:
        """How many deliveries the inbox knew."""
        found = self.look("SELECT sum(count) FROM minuet_counters WHERE name = 'duplicates_absorbed'")
        return int(str(found[0][0] or 0))

    def assert_in_order(self, emitted: int) -> None:
        """Each account's events, all of them, once, in their order."""
        found: dict[object, list[object]] = {}
        for account, number in self.look("SELECT account, number FROM entries ORDER BY id"):
            found.setdefault(account, []).append(number)
        assert sum(map(len, found.values())) == emitted
        for numbers in found.values():
            assert numbers == list(range(len(numbers)))


@pytest.fixture(params=["postgres", "sqlite"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Books]:
    """The store of one test."""
    if request.param == "sqlite":
        file = tmp_path / "books.db"
        yield Books(f"sqlite:///{file}", lambda sql: look_in_sqlite(file, sql))
        return
    server = url_of("postgres") or ""
    url = create(server)
    yield Books(url, lambda sql: look_in_postgres(url, sql))
    command(beside(url), f"DROP DATABASE {database_of(url)} WITH (FORCE)")


class Crowd:
    """The processes of the service, and what they handle."""

    def __init__(self, books: Books, broker: str, app: App, service: Service) -> None:
        self.books = books
        self.broker = broker
        self.app = app
        self._service = service
        self._numbers = dict.fromkeys(NAMES, 0)
        self.emitted = 0
        self.members: list[subprocess.Popen[str]] = []

    async def join(self, *how: str) -> None:
        """Another process begins."""
        process = subprocess.Popen(  # noqa: ASYNC220  # it is waited for in a thread
            [sys.executable, "-m", "tests.acceptance.accounts", self.broker, self.books.url, *how],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.members.append(process)
        assert process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), PATIENCE_SECONDS)
        assert line == "started\n"

    async def end(self, how: signal.Signals) -> None:
        """The process that is there longest ends."""
        with self.members.pop(0) as process:
            process.send_signal(how)
            await asyncio.wait_for(asyncio.to_thread(process.wait), PATIENCE_SECONDS)

    async def emit(self, count: int) -> None:
        """Emit so many events, of each account in turn."""
        for start in range(0, count, 100):
            lot: list[Moved] = []
            for number in range(start, min(start + 100, count)):
                name = NAMES[(self.emitted + number - start) % len(NAMES)]
                lot.append(Moved(account=name, number=self._numbers[name]))
                self._numbers[name] += 1
            await asyncio.gather(*[self._service.emit(each) for each in lot])
            self.emitted += len(lot)

    async def handled(self, count: int) -> None:
        """Wait until so many events are handled, while enough are there to be handled."""

        async def enough() -> bool:
            there = await asyncio.to_thread(self.books.count)
            if there < count and self.emitted - there < AHEAD:
                await self.emit(AHEAD // 2)
            return there >= count

        await until(enough)

    async def all_handled(self) -> None:
        """Wait until everything that was emitted is handled."""

        async def everything() -> bool:
            return await asyncio.to_thread(self.books.count) >= self.emitted

        await until(everything)


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is so: other processes' commits make no sound here."""
    nothing = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(nothing.wait(), NUDGE_SECONDS)


@asynccontextmanager
async def crowd(books: Books) -> AsyncGenerator[Crowd]:
    """A service that nobody runs yet, and who emits to it."""
    broker = f"{url_of('kafka')}/?prefix=t{uuid.uuid4().hex[:8]}.&partitions=6"
    app, service = accounts(broker, books.url)
    async with app.connected():
        found = Crowd(books, broker, app, service)
        try:
            yield found
        finally:
            for process in found.members:
                with process:
                    process.kill()


async def test_processes_come_and_go_and_each_key_keeps_its_order(books: Books) -> None:
    """While processes of a service join it, leave it and are killed, each event is handled once, in its key's order."""
    async with crowd(books) as there:
        await there.join()
        for change in CHANGES:
            before = there.books.count()
            match change:
                case "join":
                    await there.join()
                case "leave":
                    await there.end(signal.SIGTERM)
                case _:
                    await there.end(signal.SIGKILL)
            await there.handled(before + BETWEEN)
        await there.all_handled()
        books.assert_in_order(there.emitted)
        assert len(books.processes()) >= 5


async def test_a_process_that_hangs_and_comes_back_changes_nothing(books: Books) -> None:
    """A process hangs with deliveries in its hands until others have its partitions, and then goes on with them: the
    others have handled them, and nothing is doubled or out of order.
    """
    async with crowd(books) as there:
        await there.emit(4000)
        await there.app.settled()  # published: a process that hangs keeps what it has claimed of the outbox
        await there.join("hang")
        [hanging] = there.members
        await asyncio.wait_for(asyncio.to_thread(os.waitpid, hanging.pid, os.WUNTRACED), PATIENCE_SECONDS)
        await there.join()
        await there.all_handled()
        before = books.absorbed()
        more = asyncio.create_task(there.emit(3000))
        hanging.send_signal(signal.SIGCONT)
        await more
        await there.all_handled()

        async def both_went_on() -> bool:
            return await asyncio.to_thread(books.absorbed) > before

        await until(both_went_on)
        books.assert_in_order(there.emitted)
        assert hanging.poll() is None
