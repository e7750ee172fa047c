"""How a process hears SIGTERM and SIGINT, also while its event loop is blocked."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from minuet.runtime.system import end_process_after

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Hearing:
    """At the first signal `first` is called in the running loop, at any later one `second`, at once and in a thread.

    With `end_seconds`, the process ends so long after the first, unless it has ended by then. It lasts until its block
    is left or, if it is only begun, as long as the process. Only the main thread may begin.

    A thread of its own acts on signals. It is told by what C's handler writes, unless somebody else has asked for that
    since; and by Python's handler, which runs in the main thread, but not while that is in C. What came more often one
    way than the other is how often it came.
    """

    def __init__(
        self, first: Callable[[], None], second: Callable[[int], None], *, end_seconds: float | None = None
    ) -> None:
        self._first = first
        self._second = second
        self._end_seconds = end_seconds
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._handler = self._handle
        self._before: dict[signal.Signals, Any] = {}
        self._handled = 0
        self._read = 0
        self._heard = 0
        self._last = 0

    def begin(self) -> Self:
        """Hear from here on."""
        ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._handler)
        self._wakes = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=self._forked)
        threading.Thread(target=self._listen, args=(ours,), name="minuet signals", daemon=True).start()
        return self

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        present = signal.set_wakeup_fd(self._wakes)
        if present != self._theirs.fileno():
            signal.set_wakeup_fd(present)
        for number, before in self._before.items():
            if signal.getsignal(number) is self._handler:
                signal.signal(number, before)
        self._theirs.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # what Python gives a handler
        """Tell the thread, and do no more: what the main thread has locked just now, it has locked."""
        if os.getpid() != self._process:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._handled, self._last = self._handled + 1, number
        with suppress(OSError):
            self._theirs.send(b"\0")

    def _listen(self, ours: socket.socket) -> None:
        with ours:
            while told := ours.recv(4096):
                for number in told:
                    if number in SIGNALS:
                        self._read, self._last = self._read + 1, number
                while self._heard < max(self._read, self._handled):
                    self._heard += 1
                    self._act()
                if self._wakes >= 0 and (numbers := told.replace(b"\0", b"")):
                    with suppress(OSError):
                        os.write(self._wakes, numbers)

    def _act(self) -> None:
        if self._heard > 1:
            self._second(self._last)
            return
        if self._end_seconds is not None:
            end_process_after(self._end_seconds)
        with suppress(RuntimeError):  # the loop is closed, and nothing left to stop
            self._loop.call_soon_threadsafe(self._first)

    def _forked(self) -> None:
        """What a child is told is not told to this process."""
        if os.getppid() == self._process:
            signal.set_wakeup_fd(-1)


def leave_at_once(number: int) -> None:
    """End this process now. What it was doing is begun again by others, as after any crash."""
    os._exit(128 + number)
