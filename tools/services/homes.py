"""Where the servers of one directory live, and what is remembered of them there.

Each server has a subdirectory with its data and its log, with `home.json` (its ports and its password, kept for as long
as the directory is, so that a server that comes back has its old URL) and, from its start to its stop, with
`process.json`.
"""

import contextlib
import fcntl
import json
import secrets
import threading
from collections.abc import Generator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.services import ports
from tools.services.processes import Process
from tools.services.server import Home, Server


class Homes:
    """The homes of all servers in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._choosing = threading.Lock()

    @contextlib.contextmanager
    def alone(self) -> Generator[None]:
        """Holds the directory, made if there is none, against other commands; waits while another one holds it."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def of(self, server: Server) -> Home | None:
        """The server's home as it is; None if it never had one."""
        record = _read(self._path(server) / "home.json")
        return Home(self._path(server), record["ports"], record["password"]) if record else None

    def settle(self, server: Server) -> Home:
        """The home of a server that is about to start: made if there is none, with ports that are free now."""
        home = self.of(server)
        if home and set(home.ports) == set(server.port_names) and all(map(ports.is_free, home.ports.values())):
            return home
        with self._choosing:
            chosen = ports.choose(len(server.port_names), self.directory, self._taken(), ports.is_free)
            named = dict(zip(server.port_names, chosen, strict=True))
            home = Home(self._path(server), named, home.password if home else secrets.token_hex(12))
            home.path.mkdir(mode=0o700, exist_ok=True)
            _write(home.path / "home.json", {"ports": named, "password": home.password})
        return home

    def process(self, server: Server) -> Process | None:
        """The process that was started last and not stopped, alive or not."""
        record = _read(self._path(server) / "process.json")
        return Process(record["pid"], record["born"]) if record else None

    def remember(self, server: Server, process: Process | None) -> None:
        """Remembers the server's process, or with None that it has none."""
        file = self._path(server) / "process.json"
        if process is None:
            file.unlink(missing_ok=True)
        else:
            _write(file, asdict(process))

    def _path(self, server: Server) -> Path:
        return self.directory / server.name

    def _taken(self) -> set[int]:
        """The ports that some server here calls its own, whether it runs or not."""
        records = (_read(file) for file in self.directory.glob("*/home.json"))
        return {port for record in records if record for port in record["ports"].values()}


def _read(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def _write(file: Path, record: Mapping[str, object]) -> None:
    """Writes a record, whole or not at all, for its owner's eyes only."""
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(record), encoding="utf-8")
    fresh.replace(file)
