"""What is going on, line by line, for people who wait."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

# Takes a server's name and what there is to say about it.
Say = Callable[[str, str], None]

HEARTBEAT_SECONDS = 5.0


class Progress:
    """Lines of progress, each with the seconds since the beginning and the server it is about."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._began = time.monotonic()

    def __call__(self, name: str, text: str) -> None:
        """Writes one line at once, whole, since servers start side by side."""
        self._stream.write(f"{time.monotonic() - self._began:6.1f} s  {name:<8}  {text}\n")
        self._stream.flush()


def quiet(name: str, text: str) -> None:
    """Says nothing."""


def performed(
    command: Sequence[str],
    *,
    about: tuple[str, str],
    log: Path,
    say: Say,
    environment: Mapping[str, str] | None = None,
) -> bool:
    """Runs a command that may take long, with its output appended to `log`; whether it succeeded.

    `about` is the server's name and what is being done, which is said once more every few seconds.
    """
    name, doing = about
    began = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        while True:
            try:
                return process.wait(HEARTBEAT_SECONDS) == 0
            except subprocess.TimeoutExpired:
                say(name, f"{doing}, for {time.monotonic() - began:.0f} s now")
            except BaseException:
                process.terminate()
                process.wait()
                raise
