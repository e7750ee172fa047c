"""What each kind of server tells the fleet, and what it is told."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tools.services.processes import Launch
from tools.services.progress import Say

USER = "minuet"  # who the servers know, where they know users
DATABASE = "minuet"


class ServiceError(Exception):
    """Something about a server; `name` is the server's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Missing(ServiceError):
    """A server that is not installed and cannot be installed here. The message says how to get it."""


class Failed(ServiceError):
    """A server that is installed and does not start. The message has the end of its log."""


@dataclass(frozen=True)
class Home:
    """Where one server lives: its directory, its ports by name, and the password of the user `minuet`."""

    path: Path
    ports: Mapping[str, int]
    password: str

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.path / "server.log"


class Server(Protocol):
    """One kind of server. It has no state: all that lasts is in its home."""

    @property
    def name(self) -> str:
        """Its name in commands, in the environment and in `urls.env`."""
        ...

    @property
    def port_names(self) -> tuple[str, ...]:
        """A name for each port that it needs; the first is the one that clients use."""
        ...

    @property
    def stop_signal(self) -> signal.Signals:
        """The signal on which it ends in order, without waiting for its clients to leave."""
        ...

    def install(self, log: Path, say: Say) -> None:
        """Makes sure that the server's programs are on this machine; raises Missing."""
        ...

    def prepare(self, home: Home, say: Say) -> Launch:
        """Writes its configuration, makes its data if there are none, and says how it is started."""
        ...

    def answers(self, home: Home) -> bool:
        """Whether it serves: a client gets in and is answered. An OSError means not yet."""
        ...

    def url(self, home: Home) -> str:
        """The URL by which minuet reaches it."""
        ...

    def tidy(self, home: Home) -> None:
        """Ends what the server leaves behind when it ends; called once it has."""
        ...
