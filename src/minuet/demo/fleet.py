"""The processes: started, watched, killed with SIGKILL, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from minuet.demo.member import BROKER, READY, STORE
from minuet.demo.plan import DemoFailed, Plan
from minuet.examples.order_fulfilment.events import InvoiceReceived

BROUGHT_BACK_SECONDS = 120.0
"""How long a process is tried to be brought back that cannot start, because a server is away."""
PAUSE_SECONDS = 0.5
STOP_SECONDS = 20
"""How long a process may take to stop when it is told to, before it is killed."""


class Member:
    """One process and those that come after it when it is killed.

    What it writes to its error output goes to `log`; `lives` counts how often it was started. One that was killed and
    cannot start, since a server is away, is started until it can.
    """

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.lives = 0
        self.ready = asyncio.Event()
        self.failure: str | None = None
        self._command = (sys.executable, "-m", *arguments)
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._away_since: float | None = None
        self._expected_to_end = False

    def __repr__(self) -> str:
        return f"<Member {self.name}, {'ready' if self.ready.is_set() else 'not ready'}, life {self.lives}>"

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The process of the current life."""
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        """Begin a life. It is ready when it says so."""
        self.lives += 1
        self._away_since = None
        await self._begin()

    async def _begin(self) -> None:
        self._expected_to_end = False
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # an interrupt at the terminal is the demo's, which then stops these
            )
        self._listening = asyncio.create_task(self._listen(self._process), name=f"listen to {self.name}")

    async def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self._expect_its_end()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self._gone()

    async def stop(self) -> None:
        """Ask it to stop, and kill it if it does not."""
        if self._process is None:
            return
        self._expect_its_end()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._gone()
        except TimeoutError:
            await self.kill()

    def _expect_its_end(self) -> None:
        self._expected_to_end = True
        if self._returning is not None:
            self._returning.cancel()

    async def _gone(self) -> None:
        self.ready.clear()
        await self.process.wait()
        if self._listening is not None:
            await self._listening

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            word = line.decode().strip()
            if word == READY:
                self.ready.set()
            self.hear(word)
        status = await process.wait()
        if not self._expected_to_end:
            self._ended(status)
        self.hear("")

    def _ended(self, status: int) -> None:
        """It ended by itself: a failure, unless it has come back after a kill and never got so far as to work."""
        now = time.monotonic()
        was_ready = self.ready.is_set()
        self.ready.clear()
        self._away_since = now if self._away_since is None else self._away_since
        if was_ready or self.lives == 1 or now - self._away_since > BROUGHT_BACK_SECONDS:
            self.failure = f"The process of {self.name} ended by itself with status {status}. {last_words(self._log)}"
        else:
            self._returning = asyncio.create_task(self._return(), name=f"bring back {self.name}")

    async def _return(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        await self._begin()

    def hear(self, word: str) -> None:
        """It said this; nothing, when it ended."""


class Feeder(Member):
    """The process that hands over invoices."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        super().__init__(name, arguments, environment, log)
        self.handed_over = 0
        """How many of the invoices given last are durable."""
        self._heard = asyncio.Event()

    def hear(self, word: str) -> None:
        if word.isdecimal():
            self.handed_over = int(word)
        self._heard.set()

    async def feed(self, invoices: Sequence[InvoiceReceived]) -> None:
        """Hand over invoices, all of them again if it is killed meanwhile; returns when they are durable."""
        line = msgspec.json.encode(invoices) + b"\n"
        self.handed_over = 0
        while self.handed_over < len(invoices):
            await self.ready.wait()
            life = self.lives
            self.handed_over = 0
            with contextlib.suppress(ConnectionError):  # killed a moment ago
                await self._write(line)
            await self.until(lambda: self.handed_over == len(invoices) or self.lives != life)  # noqa: B023

    async def _write(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        await self.process.stdin.drain()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until something it says, or its end, makes this true."""
        while not done():
            self._heard.clear()
            await self._heard.wait()


class Fleet:
    """The feeder and the processes of all services, in this order."""

    def __init__(self, services: Sequence[str], plan: Plan) -> None:
        environment = {**plan.settings.to_environment(), BROKER: plan.broker_url, STORE: plan.store_url}
        logs, workers = plan.directory, plan.workers
        self.kills = 0
        self.feeder = Feeder("feeder", ["minuet.demo.feeder"], environment, logs / "feeder.log")
        self.members: tuple[Member, ...] = (
            self.feeder,
            *(
                Member(
                    service if workers == 1 else f"{service} {number}",
                    ["minuet.demo.member", service],
                    environment,
                    logs / f"{service}.log",
                )
                for service in services
                for number in range(1, workers + 1)
            ),
        )

    def __repr__(self) -> str:
        return f"<Fleet of {', '.join(member.name for member in self.members)}; {self.kills} killed>"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Start every process; stop all of them at the end, whatever happens."""
        try:
            await asyncio.gather(*(member.start() for member in self.members))
            yield
        finally:
            await asyncio.gather(*(member.stop() for member in self.members))

    def check(self) -> None:
        """Raise DemoFailed if a process ended that nobody killed."""
        for member in self.members:
            if member.failure is not None:
                raise DemoFailed(member.failure)

    async def victim(self, number: int) -> Member:
        """The process of this number or, if that one is not at work yet, the next service's that is.

        For the feeder it waits: nobody else can stand in for it.
        """
        turned = (*self.members[number:], *self.members[1:number]) if number else (self.feeder,)
        for member in turned:
            if member.ready.is_set():
                return member
        await turned[0].ready.wait()
        return turned[0]

    async def strike(self, member: Member) -> None:
        """Kill a process and start it again at once."""
        await member.kill()
        self.kills += 1
        await member.start()


def last_words(log: Path) -> str:
    """The end of a process's log, as a sentence."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    last = next((line for line in reversed(lines) if line.strip()), None)
    return f"Its last words, in {log.name}: {last}" if last else "It said nothing."
