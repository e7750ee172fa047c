"""One run of `minuet demo order` on a pair, whose servers are killed and restarted while it works."""

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from tools.matrix.pairs import Pair
from tools.services.fleet import Services

DONE = re.compile(r"^ *(\d+)% ")
"""How a line of the demo's progress begins."""
MOST_WAIT_SECONDS = 1.0
"""How long after its moment a server is struck, at most, by chance."""


class Size(NamedTuple):
    """How much is run, and how often what is killed: service processes, and each server."""

    orders: int
    kills: int
    server_kills: int


class Outcome(NamedTuple):
    """What came of a run; `said` is the demo's JSON, empty if it broke off, and `error` its last words."""

    pair: str
    said: dict[str, object]
    server_kills: int
    error: str

    @property
    def holds(self) -> bool:
        """Whether nothing is lost, nothing doubled, and the books balance."""
        return self.said.get("balanced") is True and self.said.get("lost") == 0 and self.said.get("doubled") == 0


def run(pair: Pair, size: Size, services: Services, directory: Path, seed: int, say: Callable[[str], None]) -> Outcome:
    """Run the demo on servers that answer, and strike each as often as is asked, spread over the run."""
    urls = services.start(pair.servers).urls if pair.servers else {}
    command = [
        sys.executable, "-m", "minuet.cli.main", "demo", "order", "--generate", str(size.orders),
        "--kills", str(size.kills), "--seed", str(seed), *pair.options(urls, str(directory)),
        "--dir", str(directory / "run"), "--json",
    ]  # fmt: skip
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1) as demo:
        assert demo.stderr is not None
        assert demo.stdout is not None
        answered: list[str] = []
        answering = threading.Thread(target=answered.extend, args=(demo.stdout,))
        answering.start()
        striking = Striking(pair.servers, size.server_kills, services, random.Random(seed), say)
        try:
            lines = read(demo.stderr, striking, say)
        finally:
            if demo.poll() is None:
                demo.terminate()
            answering.join()
            striking.end()
    say(f"{time.monotonic() - began:.0f} s, exit status {demo.returncode}")
    said: dict[str, object] = json.loads(answered[-1]) if answered else {}
    return Outcome(pair.name, said, striking.done, "" if said else " ".join(lines[-3:]))


def read(output: IO[str], striking: "Striking", say: Callable[[str], None]) -> Sequence[str]:
    """Show what the demo says, and strike when it has come so far; all that it said."""
    lines: list[str] = []
    for line in output:
        lines.append(line.strip())
        if found := DONE.match(line):
            say(line.strip())
            striking.at(int(found[1]))
    return lines


class Striking:
    """Kills servers in a thread of its own, at shares of the work that are spread evenly, in turns."""

    def __init__(
        self,
        servers: Sequence[str],
        each: int,
        services: Services,
        chance: random.Random,
        say: Callable[[str], None],
        *,
        most_wait_seconds: float = MOST_WAIT_SECONDS,
    ) -> None:
        self._most_wait_seconds = most_wait_seconds
        number = each * len(servers)
        self._due = [(100 * (place + 1) // (number + 2), servers[place % len(servers)]) for place in range(number)]
        self._services = services
        self._chance = chance
        self._say = say
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None
        self.done = 0

    def at(self, percent: int) -> None:
        """So much of the work is done: strike what is due, if no strike is under way."""
        if self._due and percent >= self._due[0][0] and (self._thread is None or not self._thread.is_alive()):
            _, server = self._due.pop(0)
            self._thread = threading.Thread(target=self._strike, args=(server,))
            self._thread.start()

    def _strike(self, server: str) -> None:
        time.sleep(self._chance.random() * self._most_wait_seconds)
        began = time.monotonic()
        try:
            self._services.kill(server)
        except BaseException as error:  # noqa: BLE001  # raised in the thread that waits
            self._failed = error
            return
        self.done += 1
        self._say(f"{server} killed (kill -9), answers again after {time.monotonic() - began:.1f} s")

    def wait(self) -> None:
        """Wait until the server that was struck last answers again."""
        if self._thread is not None:
            self._thread.join()

    def end(self) -> None:
        """Wait for the last strike. Raises what went wrong with one."""
        self.wait()
        if self._failed is not None:
            raise self._failed
