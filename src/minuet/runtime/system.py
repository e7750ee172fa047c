"""The machine's own clock, ids and chance."""

from __future__ import annotations

import os
import random
import time

from minuet.contracts.identity import new


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
