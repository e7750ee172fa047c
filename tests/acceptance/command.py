"""The real command, run as people and programs run it: `minuet`, in a process of its own, in a directory."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MINUET = str(Path(sys.executable).with_name("minuet"))
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error", "COLUMNS": "100"}


def minuet(*arguments: object, cwd: Path, status: int | None = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with these variables in its environment. `status` is its end; None: any."""
    done = subprocess.run(
        [MINUET, *map(str, arguments)],
        cwd=cwd,
        env={**ENVIRONMENT, **variables},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert status in (None, done.returncode), f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def answer(*arguments: object, cwd: Path, status: int = 0) -> Any:
    """What the command says with --json: one document."""
    return json.loads(minuet(*arguments, "--json", cwd=cwd, status=status).stdout)


class Running:
    """A `minuet run` at work. Its lines on stdout are JSON objects."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    def until(self, event: str) -> dict[str, Any]:
        """Read lines until one tells of this event; that line. Fails if the process ends before."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if self.lines[-1].get("event") == event:
                return self.lines[-1]
        raise AssertionError(f"It ended without {event!r}: {self.lines}\n{self.errors()}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end, reading what it still says; its exit code."""
        assert self.process.stdout is not None
        self.lines += [json.loads(line) for line in self.process.stdout]
        return self.process.wait()

    def errors(self) -> str:
        """What it said on stderr; to be asked at its end."""
        assert self.process.stderr is not None
        return self.process.stderr.read()


@contextmanager
def running(*arguments: object, cwd: Path) -> Iterator[Running]:
    """`minuet run` with these arguments; killed at the end if it still lives."""
    process = subprocess.Popen(
        [MINUET, "run", *map(str, arguments), "--json"],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    with process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()


def python(code: str, *, cwd: Path) -> str:
    """Run a user's script beside the command; what it prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
