"""A second process in a conformance test: it plays a scene of the suite, says how far it is, and can be killed.

The two talk in lines of JSON: what the process says comes on its standard output, what it hears on its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec


class Said(msgspec.Struct, frozen=True):
    """A word that one process said to the other, and what came with it."""

    word: str
    what: list[str] = msgspec.field(default_factory=list[str])


class Part(msgspec.Struct, frozen=True):
    """What a second process is to do: which scene of which suite, where, and with which arguments."""

    module: str
    file: str
    suite: str
    url: str | None
    folder: str
    scene: str
    arguments: list[str]


class Player:
    """The second process, as the test sees it. A context: whatever happens, the process is gone when it ends."""

    def __init__(self, part: Part, patience_seconds: float) -> None:
        self._part = part
        self._patience_seconds = patience_seconds

    def __repr__(self) -> str:
        return f"<Player of {self._part.suite}.{self._part.scene}>"

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "minuet.testing.conformance.player", msgspec.json.encode(self._part).decode()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
            limit=2**24,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    async def hears(self, word: str) -> list[str]:
        """Wait until the process says this word, and return what it said with it; other words are passed over."""
        while (said := await self._next(word)).word != word:
            pass
        return said.what

    async def _next(self, word: str) -> Said:
        assert self._process.stdout is not None
        async with asyncio.timeout(self._patience_seconds):
            line = await self._process.stdout.readline()
        if not line:
            raise AssertionError(f"{self!r} ended before it said {word!r}; what it printed stands above")
        return msgspec.json.decode(line, type=Said)

    async def tell(self, word: str, *what: str) -> None:
        """Say something to the process."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(Said(word, list(what))) + b"\n")
        await self._process.stdin.drain()

    async def kill(self) -> list[Said]:
        """Kill the process, as a power cut would; what it had still said. Killing it twice is once."""
        assert self._process.stdout is not None
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        last = await self._process.stdout.read()
        await self._process.wait()
        return [msgspec.json.decode(line, type=Said) for line in last.splitlines(keepends=True) if line[-1:] == b"\n"]

    async def ends(self) -> None:
        """Wait until the process has played its scene to the end."""
        async with asyncio.timeout(self._patience_seconds):
            status = await self._process.wait()
        assert status == 0, f"{self!r} failed; what it printed stands above"


class Prompter:
    """The test that started this process, as its scene sees it."""

    def say(self, word: str, *what: str) -> None:
        """Tell the test something; it is there at once, also when this process is killed in the next moment."""
        sys.stdout.buffer.write(msgspec.json.encode(Said(word, list(what))) + b"\n")
        sys.stdout.buffer.flush()

    async def hear(self, word: str) -> list[str]:
        """Wait until the test says this word. When the test is gone, so is this process."""
        while True:
            line = await asyncio.to_thread(sys.stdin.buffer.readline)
            if not line:
                raise SystemExit(1)
            said = msgspec.json.decode(line, type=Said)
            if said.word == word:
                return said.what
