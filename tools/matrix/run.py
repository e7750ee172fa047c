"""One run of `minuet demo order` on a pair, whose servers are killed and restarted while it works."""

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
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
    """How much is run, how often service processes and each server are killed, and each server restarted in order."""

    orders: int
    kills: int
    server_kills: int
    server_restarts: int = 0


class Outcome(NamedTuple):
    """What came of a run; `said` is the demo's JSON, empty if it broke off, and `error` its last words.

    `missed` counts servers' kills and restarts that the run was over too soon for.
    """

    pair: str
    said: dict[str, object]
    server_kills: int
    error: str
    server_restarts: int = 0
    missed: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is lost, nothing doubled, and the books balance, after all that was to be done to servers."""
        return (
            not self.missed
            and self.said.get("balanced") is True
            and self.said.get("lost") == 0
            and self.said.get("doubled") == 0
        )


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
        how = [*["kill"] * size.server_kills, *["restart"] * size.server_restarts]
        striking = Striking(
            [(way, server) for way in how for server in pair.servers], services, random.Random(seed), say
        )
        try:
            lines = read(demo.stderr, striking, say)
        finally:
            if demo.poll() is None:
                demo.terminate()
            answering.join()
            striking.end()
    say(f"{time.monotonic() - began:.0f} s, exit status {demo.returncode}")
    said: dict[str, object] = json.loads(answered[-1]) if answered else {}
    done = Counter(striking.done)
    return Outcome(
        pair.name, said, done["kill"], "" if said else " ".join(lines[-3:]), done["restart"], striking.missed
    )


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
    """Kills or restarts servers in a thread of its own, at shares of the work that are spread evenly, in this order.

    `done` is the ways in which it has, `kill` or `restart`.
    """

    def __init__(
        self,
        strikes: Sequence[tuple[str, str]],
        services: Services,
        chance: random.Random,
        say: Callable[[str], None],
        *,
        most_wait_seconds: float = MOST_WAIT_SECONDS,
    ) -> None:
        self._most_wait_seconds = most_wait_seconds
        number = len(strikes)
        self._due = [(100 * (place + 1) // (number + 2), *strike) for place, strike in enumerate(strikes)]
        self._services = services
        self._chance = chance
        self._say = say
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None
        self.done: list[str] = []

    def at(self, percent: int) -> None:
        """So much of the work is done: strike what is due, if no strike is under way."""
        if self._due and percent >= self._due[0][0] and (self._thread is None or not self._thread.is_alive()):
            _, way, server = self._due.pop(0)
            self._thread = threading.Thread(target=self._strike, args=(way, server))
            self._thread.start()

    def _strike(self, way: str, server: str) -> None:
        time.sleep(self._chance.random() * self._most_wait_seconds)
        began = time.monotonic()
        try:
            if way == "kill":
                self._services.kill(server)
            else:
                self._services.restart(server)
        except BaseException as error:  # noqa: BLE001  # raised in the thread that waits
            self._failed = error
            return
        self.done.append(way)
        what = "killed (kill -9)" if way == "kill" else "restarted"
        self._say(f"{server} {what}, answers again after {time.monotonic() - began:.1f} s")

    @property
    def missed(self) -> int:
        """How many strikes have not fallen due."""
        return len(self._due)

    def wait(self) -> None:
        """Wait until the server that was struck last answers again."""
        if self._thread is not None:
            self._thread.join()

    def end(self) -> None:
        """Wait for the last strike. Raises what went wrong with one."""
        self.wait()
        if self._failed is not None:
            raise self._failed
