"""How an app that starts or runs is asked to stop."""

from __future__ import annotations

import asyncio
from typing import Any, Self


class Stop:
    """A request to stop an app, made by a signal: it ends a start, and lets what has begun finish.

    Entered by the task that starts the app; a start that was ended leaves the block without an error.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._starting: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        self._starting = asyncio.current_task()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        ended = isinstance(error, asyncio.CancelledError) and self._starting is not None and self.asked.is_set()
        if ended and self._starting is not None:
            self._starting.uncancel()
        self._starting = None
        return ended

    def ask(self) -> None:
        """Stop, soon."""
        self.asked.set()
        if self._starting is not None:
            self._starting.cancel()

    def has_begun(self) -> None:
        """The app has started: from here on it finishes what it has begun."""
        self._starting = None
