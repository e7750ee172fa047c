"""Processes that outlive whoever starts them, and are found again exactly.

A process is known by its id and by when it was born: an id alone may have gone to somebody else.
"""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

PROC = Path("/proc")
POLL_SECONDS = 0.02

# The shell starts the server in the background, says its id and ends: the server is nobody's child, so that nobody
# has to wait for it and nobody takes it along.
_DETACHED = '"$@" >&2 & echo $!'


# In a command, its directory as the process can reach it.
DIRECTORY = "{directory}"


@dataclass(frozen=True)
class Launch:
    """How a process is started: its command, what is added to the environment, its directory, as whom it runs.

    `account` is the name of a user of this system, or None for the user who starts it. Another user may have no way
    to the directory, which lies somewhere in a clone: that one is handed it open, and finds it by its descriptor.
    """

    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    account: str | None = None


@dataclass(frozen=True)
class Stat:
    """What the system says of a process: its parent, the letter of its state, when it was born (clock ticks).

    `threads` of one that has ended and that nobody waited for is more than one while the system still clears away.
    """

    parent: int
    state: str
    born: str
    threads: int = 1

    @property
    def ended(self) -> bool:
        """Whether it holds nothing any more: no memory, no port."""
        return self.state in "ZX" and self.threads <= 1


def parsed(stat: str) -> Stat:
    """Reads a line of `/proc/PID/stat`. The name in it, in brackets, may itself hold blanks and brackets."""
    values = stat.rpartition(")")[2].split()
    return Stat(parent=int(values[1]), state=values[0], born=values[19], threads=int(values[17]))


def descendants(ancestor: int, parents: Mapping[int, int]) -> set[int]:
    """All that descend from `ancestor`, by a table of each process's parent; itself not among them."""
    found: set[int] = set()
    fresh = {ancestor}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


@dataclass(frozen=True)
class Process:
    """A process of this system, by its id and its birth."""

    pid: int
    born: str

    def alive(self) -> bool:
        """Whether this very process still runs. One that has ended and that nobody waited for does not."""
        stat = _look(self.pid)
        return stat is not None and not stat.ended and stat.born == self.born

    def stop(self, stop_signal: signal.Signals, patience_seconds: float) -> None:
        """Asks it to end and waits; after `patience_seconds` it is killed, with all that descend from it."""
        if self.alive():
            _send(self.pid, stop_signal)
        if not self.gone(patience_seconds):
            self.strike()

    def strike(self) -> None:
        """Kills it and all that descend from it, without a word, and returns when they are gone."""
        if not self.alive():
            return
        _send(self.pid, signal.SIGSTOP)  # so that it has no child that we have not seen
        family = [Process(pid, stat.born) for pid in descendants(self.pid, _parents()) if (stat := _look(pid))]
        for member in (self, *family):
            _send(member.pid, signal.SIGKILL)
        for member in (self, *family):
            member.gone(patience_seconds=30)

    def gone(self, patience_seconds: float) -> bool:
        """Waits until it has ended, at most for `patience_seconds`; says whether it has."""
        until = time.monotonic() + patience_seconds
        while self.alive():
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
        return True


def start(launch: Launch, log: Path) -> Process:
    """Starts a process in a session of its own; what it prints is appended to `log`."""
    with log.open("ab") as output, _handed(launch) as (command, how):
        done = subprocess.run(
            ["/bin/sh", "-c", _DETACHED, "sh", *command],
            env={**os.environ, **launch.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            check=True,
            **how,
        )
    pid = int(done.stdout)
    stat = _look(pid)
    return Process(pid, stat.born if stat else "")


def run(launch: Launch, log: Path, said: str = "") -> bool:
    """Runs a process to its end, with `said` as its input, its output appended to `log`; whether it succeeded."""
    with log.open("ab") as output, _handed(launch) as (command, how), tempfile.TemporaryFile() as entered:
        entered.write(said.encode())
        entered.seek(0)
        if "user" in how:
            os.fchown(entered.fileno(), how["user"], -1)  # so that it can be opened as /dev/stdin
        done = subprocess.run(
            command,
            env={**os.environ, **launch.environment},
            stdin=entered,
            stdout=output,
            stderr=output,
            check=False,
            **how,
        )
    return done.returncode == 0


class _Manner(TypedDict, total=False):
    """How `subprocess` runs something: where, as whom, with which descriptors."""

    cwd: str | Path
    user: int
    group: int
    extra_groups: list[int]
    pass_fds: tuple[int, ...]


@contextlib.contextmanager
def _handed(launch: Launch) -> Generator[tuple[list[str], _Manner]]:
    """The command and the manner of a launch, with the directory in it as the process will see it."""
    if launch.account is None:
        yield [word.replace(DIRECTORY, str(launch.directory)) for word in launch.command], {"cwd": launch.directory}
        return
    user = pwd.getpwnam(launch.account)
    descriptor = os.open(launch.directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        command = [word.replace(DIRECTORY, f"/dev/fd/{descriptor}") for word in launch.command]
        yield (
            command,
            {
                "cwd": "/",
                "user": user.pw_uid,
                "group": user.pw_gid,
                "extra_groups": [],
                "pass_fds": (descriptor,),
            },
        )
    finally:
        os.close(descriptor)


def _send(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)


def _look(pid: int) -> Stat | None:
    """What the system says of a process, None if there is none."""
    if sys.platform == "linux":
        try:
            return parsed((PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            return None
    said = _ps("-o", "ppid=,state=,lstart=", "-p", str(pid)).split(maxsplit=2)
    return Stat(int(said[0]), said[1][:1], said[2].strip()) if len(said) == 3 else None


def _parents() -> dict[int, int]:
    """The parent of every process of this system."""
    if sys.platform == "linux":
        pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())
        return {pid: stat.parent for pid in pids if (stat := _look(pid))}
    rows = (line.split() for line in _ps("-A", "-o", "pid=,ppid=").splitlines())
    return {int(pid): int(parent) for pid, parent in rows}


def _ps(*arguments: str) -> str:
    """What `ps` says where there is no `/proc`."""
    return subprocess.run(["/bin/ps", *arguments], capture_output=True, text=True, check=False).stdout
