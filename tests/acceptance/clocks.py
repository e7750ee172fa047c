"""Clocks that a test holds in its hand."""

import mmap
import struct
import time
from pathlib import Path

_INSTANT = struct.Struct("d")


class ManualClock:
    """A clock that stands until the test moves it."""

    def __init__(self, now: float | None = None) -> None:
        self._now = time.time() if now is None else now

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class SharedClock:
    """A clock that several processes share through a file: it stands at an instant until the test lets it run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        if not file.exists():
            file.write_bytes(_INSTANT.pack(time.time()))
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), _INSTANT.size)

    def __reduce__(self) -> tuple[type["SharedClock"], tuple[Path]]:
        return (SharedClock, (self._file,))

    def now(self) -> float:
        [instant] = _INSTANT.unpack(self._shared[:])
        return instant or time.time()

    def run(self) -> None:
        """From now on it is the machine's clock."""
        self._shared[:] = _INSTANT.pack(0.0)
