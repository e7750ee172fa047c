"""What both suites share: how a test is performed, waits, and has a second process beside it."""

from __future__ import annotations

import asyncio
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from minuet.errors import StartupError
from minuet.testing.conformance.claims import Requirement, claims_of, requirements_of
from minuet.testing.conformance.process import Part, Player

T = TypeVar("T")
NUDGE_SECONDS = 0.02
"""How soon a condition is looked at again when nothing has said that it may have changed."""


class Suite(ABC):
    """A conformance suite. A subclass whose name begins with `Test` says how to reach an adapter, and is collected.

    Tests hold on to nothing that was there before them: every topic, group, consumer and id is new, so that they may
    share a broker or a store with each other and with others.
    """

    port: ClassVar[str | None]
    """The port's docstring, which lists the clauses."""
    url: str | None = None
    """Where the adapter is; `{folder}` in it is a directory that is new for each test."""
    patience_seconds: ClassVar[float] = 10.0
    """How long a test waits for what must happen. It is not waited for longer than it takes."""
    quiet_seconds: ClassVar[float] = 0.3
    """How long a test looks on where nothing may happen and nothing else would show it."""
    limit_seconds: ClassVar[float] = 110.0
    """How long one test may take."""

    folder: Path
    stack: AsyncExitStack

    @abstractmethod
    def declared(self) -> object:
        """The capabilities that the adapter declares."""

    def claims(self) -> frozenset[Requirement]:
        """What the adapter claims."""
        return claims_of(self.declared())

    def missing(self, test: str) -> tuple[Requirement, ...]:
        """What a test requires and the adapter does not claim; nothing if the test is to run."""
        claims = self.claims()
        required = requirements_of(getattr(type(self), test))
        return tuple(requirement for requirement in required if not requirement.met_by(claims))

    def placed(self, folder: Path) -> str:
        """The URL, in this folder."""
        if self.url is None:
            raise StartupError(
                f"{type(self).__name__} does not say how to reach its adapter: give it `url`, or override its `make_` "
                "method."
            )
        return self.url.replace("{folder}", str(folder))

    async def perform(self, test: str, folder: Path) -> None:
        """Perform one test by name, in a folder that is new. Raises what the test raises."""
        method: Callable[[], Coroutine[Any, Any, None]] = getattr(self, test)
        async with asyncio.timeout(self.limit_seconds), self.on_stage(folder):
            await method()

    @asynccontextmanager
    async def on_stage(self, folder: Path) -> AsyncGenerator[None]:
        """Everything that a test or a scene opens is closed when it ends, the last first."""
        self.folder = folder
        async with AsyncExitStack() as self.stack:
            yield

    # -- what tests use

    def new_name(self, word: str) -> str:
        """A name that nobody has used."""
        return f"{word}{uuid.uuid4().hex[:12]}"

    async def soon(self, awaitable: Awaitable[T], what: str) -> T:
        """Wait for something that must happen."""
        try:
            async with asyncio.timeout(self.patience_seconds):
                # An adapter that never waits would otherwise let nobody else run, this timeout included.
                await asyncio.sleep(0)
                return await awaitable
        except TimeoutError:
            raise AssertionError(f"{what}: not within {self.patience_seconds} seconds") from None

    async def eventually(self, probe: Callable[[], Awaitable[T]], what: str, woken: asyncio.Event | None = None) -> T:
        """Ask until the answer is true; again when `woken` is set, or soon after."""
        woken = woken or asyncio.Event()

        async def ask() -> T:
            while not (answer := await probe()):
                woken.clear()
                await asyncio.wait([bell := asyncio.ensure_future(woken.wait())], timeout=NUDGE_SECONDS)
                bell.cancel()
            return answer

        return await self.soon(ask(), what)

    async def nothing_of(self, task: asyncio.Task[T], what: str) -> None:
        """The task goes on waiting for a while: what it waits for must not happen."""
        await asyncio.wait([task], timeout=self.quiet_seconds)
        assert not task.done(), f"{what}: there were some, or an error: {task!r}"

    async def player(self, scene: str, *arguments: str) -> Player:
        """Start a second process that plays a scene: a method of this suite that is given the prompter first."""
        suite = type(self)
        part = Part(
            module=suite.__module__,
            file=sys.modules[suite.__module__].__file__ or "",
            suite=suite.__qualname__,
            url=self.url,
            folder=str(self.folder),
            scene=scene,
            arguments=list(arguments),
        )
        return await self.stack.enter_async_context(Player(part, max(self.patience_seconds, 30.0)))


async def yielding(times: int = 20) -> None:
    """Let everything that can go on go on, a few times."""
    for _ in range(times):
        await asyncio.sleep(0)


async def cancelled(task: asyncio.Task[T]) -> T | None:
    """Cancel a task and return what it had nevertheless; None if nothing. Its errors are raised."""
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return None


@contextmanager
def refused(kind: type[Exception], otherwise: str) -> Generator[None]:
    """The block must be refused with an error of this kind; `otherwise` says what happened when it was not."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{otherwise}, and not refused with {kind.__name__}")
