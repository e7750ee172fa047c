"""The servers of one directory, as a whole: started, found again, killed, stopped.

Everything is in the directory, and one command at a time works on it.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tools.services import addresses, processes
from tools.services.homes import Homes
from tools.services.kafka import Kafka
from tools.services.postgres import Postgres
from tools.services.processes import Process
from tools.services.progress import HEARTBEAT_SECONDS, Say, quiet
from tools.services.rabbitmq import RabbitMQ
from tools.services.server import Failed, Home, Missing, Server, ServiceError

DIRECTORY = Path(__file__).resolve().parents[2] / ".services"
SERVERS: tuple[Server, ...] = (Postgres(pooler=True), Kafka(), RabbitMQ())

# From the start to the first answer: ten times what a cold and busy machine takes.
START_SECONDS = 120.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
TAIL_LINES = 15


@dataclass
class Report:
    """What came of a start: the URLs of all that can be reached, and what cannot."""

    urls: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[ServiceError] = field(default_factory=list[ServiceError])


@dataclass(frozen=True)
class State:
    """One server as it is now: `running`, `dead` (it ended by itself), `stopped`, or `given` by its URL.

    Its string is a line for people, without the password.
    """

    name: str
    word: str
    pid: int | None = None
    url: str | None = None

    def __str__(self) -> str:
        pid = f"pid {self.pid}" if self.pid else ""
        return f"{self.name:<8}  {self.word:<7}  {pid:<11}  {addresses.masked(self.url or '')}".rstrip()


class Services:
    """The servers of one directory. One whose URL the environment gives is somebody else's, and left alone."""

    def __init__(
        self,
        directory: Path = DIRECTORY,
        *,
        servers: Sequence[Server] = SERVERS,
        environment: Mapping[str, str] = os.environ,
        say: Say = quiet,
    ) -> None:
        self.directory = directory
        self._homes = Homes(directory)
        self._servers = {server.name: server for server in servers}
        self._given = addresses.given(environment, self._servers)
        self._say = say

    def start(self, names: Iterable[str] = ()) -> Report:
        """Starts the named servers, all if none is named, and returns when each answers.

        One that runs is kept, one that is dead is started again. What cannot be had is reported, not raised, and
        does not keep the others from starting.
        """
        with self._homes.alone():
            problems = [problem for server in self._ours(names) if (problem := self._attempt(self._install, server))]
            lacking = {problem.name for problem in problems}
            problems += self._each([server for server in self._ours(names) if server.name not in lacking], self._up)
            return Report(self._write(), problems)

    def stop(self, names: Iterable[str] = ()) -> None:
        """Ends the named servers, all if none is named, in order, and returns when no process of theirs is left.

        Raises Failed for one that leaves something behind.
        """
        if not self.directory.exists():
            return
        with self._homes.alone():
            problems = self._each(self._ours(names), self._down)
            self._write()
        if problems:
            raise problems[0]

    def restart(self, name: str) -> str:
        """Ends a server in order and starts it again; returns its URL, the same as before.

        Raises Failed when it does not come back.
        """
        return self._again(name, self._down)

    def kill(self, name: str) -> str:
        """Kills a server (SIGKILL, with all its processes) and starts it again; returns its URL, the same as before.

        Raises Failed when it does not come back.
        """
        return self._again(name, self._strike)

    def strike(self, name: str) -> None:
        """Kills a server and leaves it dead; `start` brings it back."""
        with self._homes.alone():
            self._strike(self._mine(name))

    def states(self) -> list[State]:
        """Every server as it is now."""
        return [self._state(server) for server in self._servers.values()]

    def urls(self) -> dict[str, str]:
        """The URLs of all servers that run or are given."""
        return {state.name: state.url for state in self.states() if state.url}

    def _ours(self, names: Iterable[str]) -> list[Server]:
        """These servers, all for none, without those that are given."""
        named = [self._server(name) for name in names] or list(self._servers.values())
        return [server for server in named if server.name not in self._given]

    def _mine(self, name: str) -> Server:
        if name in self._given:
            raise Failed(name, f"It is given by {addresses.variable(name)}, and not ours to end.")
        return self._server(name)

    def _server(self, name: str) -> Server:
        if name not in self._servers:
            raise KeyError(f"There is no server {name!r} here; there are {', '.join(self._servers)}.")
        return self._servers[name]

    def _each(self, servers: Sequence[Server], act: Callable[[Server], None]) -> list[ServiceError]:
        """Does the same with each server, side by side; returns what went wrong."""
        if not servers:
            return []
        with ThreadPoolExecutor(len(servers)) as pool:
            return [problem for problem in pool.map(self._attempt, [act] * len(servers), servers) if problem]

    def _attempt(self, act: Callable[[Server], None], server: Server) -> ServiceError | None:
        try:
            act(server)
        except ServiceError as problem:
            self._say(server.name, "cannot be had here" if isinstance(problem, Missing) else "failed")
            return problem
        return None

    def _install(self, server: Server) -> None:
        server.install(self.directory / "install.log", self._say)

    def _up(self, server: Server) -> None:
        """Brings a server to where it answers, from wherever it is."""
        process, home = self._homes.process(server), self._homes.of(server)
        if process and home and process.alive():
            if self._awaited(server, home, process):
                self._say(server.name, f"runs already, pid {process.pid}")
                return
            self._say(server.name, "runs and does not answer")
            self._strike(server)
        self._tidy(server)
        home = self._homes.settle(server)
        launch = server.prepare(home, self._say)
        self._say(server.name, f"starting on port {home.ports[server.port_names[0]]}")
        began = time.monotonic()
        process = processes.start(launch, home.log)
        self._homes.remember(server, process)
        if not self._awaited(server, home, process):
            what = f"did not answer within {START_SECONDS:.0f} s" if process.alive() else "ended before it answered"
            self._strike(server)
            self._homes.remember(server, None)
            raise Failed(server.name, f"It was started and {what}. {home.log} ends with:\n{_tail(home.log)}")
        self._say(server.name, f"answers after {time.monotonic() - began:.1f} s, pid {process.pid}")

    def _awaited(self, server: Server, home: Home, process: Process) -> bool:
        """Waits until the server answers; false if it ends before, or takes too long."""
        began = said = time.monotonic()
        while process.alive() and time.monotonic() - began < START_SECONDS:
            with contextlib.suppress(OSError):
                if server.answers(home):
                    return True
            if time.monotonic() - said > HEARTBEAT_SECONDS:
                said = time.monotonic()
                self._say(server.name, f"waiting for its answer, for {said - began:.0f} s now")
            time.sleep(POLL_SECONDS)
        return False

    def _down(self, server: Server) -> None:
        process = self._homes.process(server)
        if process and process.alive():
            self._say(server.name, f"stopping, pid {process.pid}")
            process.stop(server.stop_signal, STOP_SECONDS)
        self._tidy(server)
        self._homes.remember(server, None)

    def _strike(self, server: Server) -> None:
        process = self._homes.process(server)
        if process and process.alive():
            self._say(server.name, f"killing, pid {process.pid}")
            process.strike()
        self._tidy(server)

    def _tidy(self, server: Server) -> None:
        if home := self._homes.of(server):
            server.tidy(home)

    def _again(self, name: str, end: Callable[[Server], None]) -> str:
        server = self._mine(name)
        with self._homes.alone():
            end(server)
            self._up(server)
            return self._write()[name]

    def _state(self, server: Server) -> State:
        if url := self._given.get(server.name):
            return State(server.name, "given", url=url)
        process, home = self._homes.process(server), self._homes.of(server)
        if process is None or home is None:
            return State(server.name, "stopped")
        if not process.alive():
            return State(server.name, "dead")
        return State(server.name, "running", process.pid, server.url(home))

    def _write(self) -> dict[str, str]:
        urls = self.urls()
        addresses.write(self.directory, urls)
        return urls


def _tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
