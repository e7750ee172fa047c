"""How fast the disk makes things durable just now.

Disks of virtual machines have two regimes: thousands of durable writes a second, and for spells of seconds a
tenth of that. A benchmark that meets one in one run and the other in the next compares nothing. So every run
waits for the fast regime, for a while, and the probe before and after it is kept beside its result.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

BLOCK = bytes(4096)
SYNCS = 60
FAST_PER_S = 2_500.0
"""From here on the disk is in its fast regime."""
PATIENCE_S = 25.0
PAUSE_S = 0.25


def syncs_per_s(directory: Path) -> float:
    """Append 4 KiB blocks to a fresh file, each made durable before the next; how many a second."""
    file = directory / "probe"
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    sync = getattr(os, "fdatasync", os.fsync)
    try:
        started = time.perf_counter()
        for _ in range(SYNCS):
            os.write(descriptor, BLOCK)
            sync(descriptor)
        return SYNCS / (time.perf_counter() - started)
    finally:
        os.close(descriptor)
        file.unlink()


@dataclass
class Gate:
    """Holds a run back until the disk is fast, or until patience ends.

    A disk that never gets fast would cost the whole patience before every run, so each wait in vain halves
    it; a wait that ends well restores it.
    """

    patience_s: float = PATIENCE_S

    def wait(self, directory: Path) -> float:
        """Return the last probe: a fast one, or the best that patience allowed."""
        until = time.monotonic() + self.patience_s
        while True:
            found = syncs_per_s(directory)
            if found >= FAST_PER_S:
                if self.patience_s > 0:
                    self.patience_s = PATIENCE_S
                return found
            if time.monotonic() >= until:
                self.patience_s /= 2
                return found
            time.sleep(PAUSE_S)
