"""Keeps worker processes alive: starts them, starts anew what dies, stops all of them together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence

from minuet.policies.retry import Retry
from minuet.runtime.hearing import Hearing

LINE = "MINUET_SUPERVISOR"
"""The environment variable that tells a worker the number of its end of the line. Through it the worker says that it
has started, and hears, by its end, that the supervisor is gone."""
RESTART = Retry(times=1_000_000, first_seconds=0.5, most_seconds=30.0)
"""How soon a worker that died is started anew: at once, then later each time."""
WELL_SECONDS = 10.0
"""A worker that lived so long was well; when it dies, counting begins anew."""
STOP_SECONDS = 60.0
"""How long a graceful stop may take before what is left is killed; apps have a shorter limit of their own."""

Say = Callable[..., None]
Changes = Callable[[asyncio.Event], Awaitable[str | None]]
"""Waits for a change of the code and says which file; None when the event was set first."""


def restart_seconds(failures: int, chance: float) -> float:
    """How long to wait before the start that follows the so-manieth death in a row."""
    return RESTART.delay(failures, chance) or 0.0


class Worker:
    """One process, started and ended."""

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket) -> None:
        self.process = process
        self._line = line
        self.started_at = asyncio.get_running_loop().time()

    @classmethod
    async def start(cls, command: Sequence[str]) -> Worker:
        """Start the command in a session of its own, so that a terminal's Ctrl-C reaches the supervisor alone."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, LINE: str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        ours.setblocking(False)
        return cls(process, ours)

    async def has_started(self) -> bool:
        """Wait until it says that it has started, or is gone."""
        try:
            return bool(await asyncio.get_running_loop().sock_recv(self._line, 1))
        except OSError:
            return False

    async def ended(self) -> int:
        """Wait for its end; its exit code, negative for a signal."""
        try:
            return await self.process.wait()
        finally:
            self._line.close()

    def lived_seconds(self) -> float:
        """How long it has lived."""
        return asyncio.get_running_loop().time() - self.started_at

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still lives."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class Supervisor:
    """Runs a command in several processes at a time, until it is told to stop."""

    def __init__(self, command: Sequence[str], count: int, say: Say) -> None:
        self._command = command
        self._count = count
        self._say = say
        self._workers: set[Worker] = set()
        self._halt = asyncio.Event()
        """The present generation of workers is to end."""
        self._stopping = False
        """There will be no other generation."""
        self._status = 0

    def __repr__(self) -> str:
        return f"<Supervisor of {len(self._workers)} of {self._count} processes>"

    async def run(self, changes: Changes | None = None) -> int:
        """Supervise until a signal; the exit code. With `changes`, start all anew whenever the code changes.

        A second signal kills. A command that cannot even start once ends the run with its own exit code, unless a
        change may mend it.
        """
        loop = asyncio.get_running_loop()

        def again(number: int) -> None:
            loop.call_soon_threadsafe(self._kill, number)

        Hearing(self._stop, again).begin()
        pid = os.getpid()
        self._say("supervising", f"{self._count} processes, supervised by {pid}.", workers=self._count, pid=pid)
        while not self._stopping:
            self._halt = asyncio.Event()
            keepers = asyncio.create_task(self._keep_all(patient=changes is not None))
            if changes is None:
                await self._halt.wait()
            elif (changed := await changes(self._halt)) is not None:
                self._say("reloading", f"{changed} has changed.", file=changed)
            self._halt.set()
            await self._end(keepers)
        self._say("stopped", f"All processes of {pid} have stopped.", pid=pid)
        return self._status

    async def _keep_all(self, *, patient: bool) -> None:
        """Keep all workers of one generation alive. The first goes ahead: what it cannot do, none can."""
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(1, ready, patient=patient))
            waits = [asyncio.create_task(event.wait()) for event in (ready, self._halt)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            for number in range(2, self._count + 1):
                group.create_task(self._keep(number, ready, patient=patient))

    async def _keep(self, number: int, ready: asyncio.Event, *, patient: bool) -> None:
        """Keep one worker alive. `ready` is set by the first of all that has started."""
        failures = 0
        while not self._halt.is_set():
            worker = await Worker.start(self._command)
            self._workers.add(worker)
            if self._halt.is_set():
                worker.send(signal.SIGTERM)
            if await worker.has_started():
                ready.set()
            status = await worker.ended()
            self._workers.discard(worker)
            if self._halt.is_set():
                return
            if not ready.is_set():
                await self._never_started(status, patient=patient)
                return
            failures = 1 if worker.lived_seconds() >= WELL_SECONDS else failures + 1
            seconds = restart_seconds(failures, random.random())
            self._say(
                "died",
                f"Process {worker.process.pid} {how(status)}; another starts in {seconds:.1f} s.",
                worker=number, pid=worker.process.pid, status=status, restart_seconds=seconds,
            )  # fmt: skip
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halt.wait(), seconds)

    async def _never_started(self, status: int, *, patient: bool) -> None:
        if patient:
            self._say("waiting", "It did not start; waiting for a change.", status=status)
            await self._halt.wait()
        else:
            self._status = status if status > 0 else 1
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        self._halt.set()

    async def _end(self, keepers: asyncio.Task[None]) -> None:
        for worker in self._workers:
            worker.send(signal.SIGTERM)
        _, late = await asyncio.wait([keepers], timeout=STOP_SECONDS)
        if late:
            self._kill(signal.SIGKILL)
        await keepers

    def _kill(self, number: int) -> None:
        self._status = 128 + number
        for worker in self._workers:
            worker.send(signal.SIGKILL)


def how(status: int) -> str:
    """How a process ended, in words."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
