"""The machine's own clock, ids and chance."""

from __future__ import annotations

import os
import random
import threading
import time

from minuet.contracts.identity import new


def end_process_after(seconds: float) -> None:
    """End this process, hard, unless it has ended by itself by then.

    A sync reaction in its thread cannot be stopped; it must not keep a process that was told to stop. What it was doing
    is begun again by the next, as after any crash.
    """
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()


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
