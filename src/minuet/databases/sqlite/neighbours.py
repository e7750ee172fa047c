"""The processes that have one SQLite file open: whose turn it is to write, who lives, and how to wake them.

Processes queue on two file locks, so that the kernel hands the file over at once and frees it when its holder dies.
Each has a named pipe: a byte in it wakes its process; a pipe that nobody reads belonged to a process that is dead.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
import weakref
from pathlib import Path
from typing import Protocol

LOOK_SECONDS = 0.01
"""How soon a new neighbour is rung; until then it looks by itself, as every process does when it starts."""


class WriteLock:
    """The right to write, between processes: fair, and freed by the kernel when its holder dies."""

    def __init__(self, folder: Path) -> None:
        self._turnstile = os.open(folder / "turnstile", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._writing = os.open(folder / "writing", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        _let_go_in_children(self)

    def let_go(self) -> None:
        """Close it without a word, in a child that this process has forked."""
        self._turnstile, self._writing = _closed(self._turnstile), _closed(self._writing)

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it or waits for it."""
        try:
            fcntl.flock(self._turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            fcntl.flock(self._writing, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)
        return True

    def acquire(self) -> None:
        """Wait for the lock; blocks the thread."""
        fcntl.flock(self._turnstile, fcntl.LOCK_EX)
        fcntl.flock(self._writing, fcntl.LOCK_EX)
        fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def release(self) -> None:
        fcntl.flock(self._writing, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._turnstile)
        os.close(self._writing)


class Neighbours:
    """The processes that have this file open: who lives, and how to wake them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "members"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._bells: dict[str, int] = {}
        self._seen_at = -1
        self._look_at = 0.0
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        # Open before it is seen: a pipe among the members that nobody reads is a dead process's.
        os.mkfifo(folder / self.name, 0o600)
        self.bell = os.open(folder / self.name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        os.rename(folder / self.name, self._folder / self.name)
        _let_go_in_children(self)

    def let_go(self) -> None:
        """Close it without a word, in a child that this process has forked."""
        self.bell = _closed(self.bell)

    def alive(self, name: str) -> bool:
        """Whether the process of this name still reads its pipe."""
        if name == self.name:
            return True
        try:
            os.close(os.open(self._folder / name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT):
                raise
            self._forget(name)
            return False
        return True

    def wake(self) -> None:
        """Ring every other process. One that is too busy to read is awake anyway.

        It never raises: it follows a commit, and an error would make that look as if it had failed, and be repeated.
        """
        with contextlib.suppress(OSError):
            self._look()
        for name, bell in list(self._bells.items()):
            try:
                os.write(bell, b"!")
            except BlockingIOError:
                pass
            except OSError:
                self._forget(name)

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        changed_at = os.stat(self._folder).st_mtime_ns
        if changed_at == self._seen_at:
            return
        self._seen_at = changed_at
        names = set(os.listdir(self._folder)) - {self.name}
        for name in names - self._bells.keys():
            with contextlib.suppress(OSError):
                self._bells[name] = os.open(self._folder / name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def _forget(self, name: str) -> None:
        if (bell := self._bells.pop(name, None)) is not None:
            os.close(bell)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._folder / name)

    def close(self) -> None:
        for bell in self._bells.values():
            os.close(bell)
        self._bells.clear()
        os.close(self.bell)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._folder / self.name)


class _Held(Protocol):
    def let_go(self) -> None: ...


def _let_go_in_children(held: _Held) -> None:
    """A child that a reaction forks, as process pools do, may outlive this process; it must not seem to be it."""
    reference = weakref.ref(held)

    def after_fork() -> None:
        if (mine := reference()) is not None:
            mine.let_go()

    os.register_at_fork(after_in_child=after_fork)


def _closed(descriptor: int) -> int:
    with contextlib.suppress(OSError):
        os.close(descriptor)
    return -1
