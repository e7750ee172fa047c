"""Processes of the system under test: real ones, that die for real, started quickly.

They are forked from a server that has imported minuet, so that one costs milliseconds and none inherits anything of
the test: no connection, no lock, no event loop.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import uvloop

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "pytest",
        "uvloop",
        "minuet.app",
        *(f"minuet.{port}.{name}" for port in ("brokers", "stores") for name in ("sqlite", "postgres")),
    ]
)

LONGEST_SECONDS = 60
KILLED = -signal.SIGKILL


class Parent:
    """What a process says to the test that started it, and hears from it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def say(self, word: str) -> None:
        self._connection.send(word)

    def wait_for_word(self) -> str:
        """Blocks the whole process until the test says something."""
        return self._connection.recv()


def run(main: Callable[..., Awaitable[None]], *arguments: object) -> int:
    """Run `main(parent, *arguments)` in a process of its own to its end; its exit code, negative for a signal."""
    child = Forked(main, *arguments)
    child.start()
    child.process.join(LONGEST_SECONDS)
    if child.process.exitcode is None:
        child.kill()
        raise TimeoutError(f"{main.__name__}{arguments} was still running after {LONGEST_SECONDS} seconds.")
    return child.process.exitcode


class Forked:
    """A process that runs `main(parent, *arguments)` beside the test; killed at the end if it still lives."""

    def __init__(self, main: Callable[..., Awaitable[None]], *arguments: object) -> None:
        ours, theirs = _context.Pipe()
        self._connection = ours
        self._theirs = theirs
        self.process: Any = _context.Process(target=_run, args=(main, theirs, arguments), daemon=True)
        self.said: list[str] = []

    def start(self) -> None:
        self.process.start()
        self._theirs.close()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.is_alive():
            self.kill()
            await self.ended()
        self._connection.close()

    async def says(self, word: str) -> None:
        """Wait until the process has said this."""
        while word not in self.said:
            async with asyncio.timeout(LONGEST_SECONDS):
                await _readable(self._connection.fileno())
            self.said.append(self._connection.recv())

    async def hears(self) -> str:
        """Wait for the next thing that the process says."""
        async with asyncio.timeout(LONGEST_SECONDS):
            await _readable(self._connection.fileno())
        self.said.append(self._connection.recv())
        return self.said[-1]

    def tell(self, word: str) -> None:
        self._connection.send(word)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.process.pid, signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        async with asyncio.timeout(LONGEST_SECONDS):
            await _readable(self.process.sentinel)
        self.process.join()
        return self.process.exitcode


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(descriptor, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _run(main: Callable[..., Any], connection: Connection, arguments: tuple[object, ...]) -> None:
    uvloop.run(main(Parent(connection), *arguments))
