"""The machine's own clock, ids and chance."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from contextlib import suppress

from minuet.contracts.identity import new

ENTROPY_BYTES = 10
DRAWN_TOGETHER = 128
"""How many ids' entropy the machine is asked for at once: asking takes longer than making the id."""

_entropy: list[bytes] = []
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_entropy.clear)  # or a child would make its parent's ids


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
        now_ms = time.time_ns() // 1_000_000
        while True:
            try:
                return new(now_ms, _entropy.pop())  # at once, in whichever thread
            except IndexError:
                drawn = os.urandom(ENTROPY_BYTES * DRAWN_TOGETHER)
                _entropy.extend(drawn[at : at + ENTROPY_BYTES] for at in range(0, len(drawn), ENTROPY_BYTES))


class SystemChance:
    """Jitter; nothing secret hangs on it."""

    def random(self) -> float:
        return random.random()  # jitter, no secret
