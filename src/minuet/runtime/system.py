"""The machine's own clock, ids and chance."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import suppress

from minuet.contracts.identity import new


def end_process_after(seconds: float) -> None:
    """End this process, hard and with a line on stderr, unless it has ended by itself by then.

    A sync reaction in its thread cannot be stopped, nor one that blocks the event loop; it must not keep a process that
    was told to stop. What it was doing is begun again by the next, as after any crash.
    """
    timer = threading.Timer(seconds, _end, (seconds,))
    timer.daemon = True
    timer.start()


def _end(seconds: float) -> None:
    said = (
        f"Process {os.getpid()} was told to stop {seconds:g} s ago and is still at work, most likely in a reaction "
        "that blocks its event loop, runs on in a thread or ignores that it was cancelled. It is ended, with status 1; "
        "what is not done is left to the next process.\n"
    )
    with suppress(OSError):
        os.write(2, said.encode())
    os._exit(1)


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> float:
        return time.time()


class SystemIds:
    """UUIDv7 from the machine's clock and entropy."""

    def new(self) -> str:
        return new(time.time_ns() // 1_000_000, os.urandom(10))


class SystemChance:
    """Jitter; nothing secret hangs on it."""

    def random(self) -> float:
        return random.random()  # jitter, no secret
