"""RabbitMQ: one node, with a port mapper (epmd) of its own that is ended with it."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import BinaryIO

from tools.services import debian
from tools.services.ports import LOOPBACK, is_free
from tools.services.processes import POLL_SECONDS, Launch
from tools.services.progress import Say
from tools.services.server import USER, Failed, Home, Missing

LEAST = (3, 10)
# Debian's command on the search path changes to a user and a directory of its own; this is the program itself.
_DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_HOW = (
    "Install it (Debian, Ubuntu: apt install rabbitmq-server; Fedora: dnf install rabbitmq-server; macOS: brew install "
    "rabbitmq), or give the URL of a server of yours: MINUET_RABBITMQ_URL=rabbitmq://user:password@host"
)

# The write-ahead log of quorum queues is held in memory until it is full: 64 MB of it, not 512.
_CONFIGURATION = """\
listeners.tcp.1 = {host}:{client}
default_user = {user}
default_pass = {password}
log.file.level = warning
raft.wal_max_size_bytes = 64000000
"""
_PLUGINS = "[rabbitmq_consistent_hash_exchange].\n"

_START, _START_OK, _TUNE = (10, 10), (10, 11), (10, 30)


class RabbitMQ:
    """The server `rabbitmq`."""

    name = "rabbitmq"
    port_names = ("client", "distribution", "epmd")
    stop_signal = signal.SIGTERM

    def install(self, log: Path, say: Say) -> None:
        least = ".".join(map(str, LEAST))
        if _program() is not None:
            return
        if obstacle := debian.obstacle():
            raise Missing(self.name, f"RabbitMQ {least} or later is not installed, and {obstacle}. {_HOW}")
        if not debian.install(self.name, ["rabbitmq-server"], log, say):
            raise Missing(self.name, f"apt could not install RabbitMQ; {log} has what it said. {_HOW}")
        if _program() is None:
            raise Missing(self.name, f"The RabbitMQ that apt installs here is older than {least}. {_HOW}")

    def prepare(self, home: Home, say: Say) -> Launch:
        program = _program()
        if program is None:
            raise Missing(self.name, f"RabbitMQ is not installed. {_HOW}")
        if not (home.path / "data").exists():
            say(self.name, "making a node")
        configuration, plugins = home.path / "rabbitmq.conf", home.path / "enabled_plugins"
        configuration.touch(mode=0o600)
        configuration.write_text(
            _CONFIGURATION.format(host=LOOPBACK, user=USER, password=home.password, **home.ports), encoding="utf-8"
        )
        plugins.write_text(_PLUGINS, encoding="utf-8")
        environment = {
            "HOME": str(home.path),  # where Erlang keeps its cookie
            "LC_ALL": "C.UTF-8",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server and does not stand beside it
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_NODENAME": "minuet@localhost",
            "RABBITMQ_MNESIA_BASE": str(home.path / "data"),
            "RABBITMQ_LOG_BASE": str(home.path / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home.path / "config"),
            "RABBITMQ_DIST_PORT": str(home.ports["distribution"]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            **_mapper(home),
        }
        return Launch((str(program),), home.path, environment)

    def answers(self, home: Home) -> bool:
        """Logs in, as any client does, up to the server's terms for the connection."""
        login = f"\0{USER}\0{home.password}".encode()
        arguments = struct.pack(">I", 0) + b"\x05PLAIN" + struct.pack(">I", len(login)) + login + b"\x05en_US"
        method = struct.pack(">HH", *_START_OK) + arguments
        with socket.create_connection((LOOPBACK, home.ports["client"]), timeout=5) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            with connection.makefile("rb") as stream:
                if _method(stream) != _START:
                    return False
                connection.sendall(struct.pack(">BHI", 1, 0, len(method)) + method + b"\xce")
                return _method(stream) == _TUNE

    def url(self, home: Home) -> str:
        return f"rabbitmq://{USER}:{home.password}@{LOOPBACK}:{home.ports['client']}"

    def tidy(self, home: Home) -> None:
        """Ends the port mapper, which goes only when it has noticed that its node is gone."""
        if is_free(home.ports["epmd"]):
            return
        for _ in range(250):
            subprocess.run(
                [_epmd(), "-kill"], env={**os.environ, **_mapper(home)}, capture_output=True, text=True, check=False
            )
            if is_free(home.ports["epmd"]):
                return
            time.sleep(POLL_SECONDS)
        raise Failed(self.name, f"Its port mapper still listens on port {home.ports['epmd']} and does not end.")


def _mapper(home: Home) -> dict[str, str]:
    """The environment in which Erlang's programs find this node's port mapper."""
    return {"ERL_EPMD_PORT": str(home.ports["epmd"]), "ERL_EPMD_ADDRESS": LOOPBACK}


def _method(stream: BinaryIO) -> tuple[int, int] | None:
    """The class and the method of the next AMQP frame, None if the connection ends before one."""
    head = stream.read(7)
    if len(head) < 7 or head[0] != 1:
        return None
    payload = stream.read(struct.unpack(">I", head[3:])[0] + 1)
    return struct.unpack(">HH", payload[:4]) if len(payload) > 4 else None


def _epmd() -> str:
    return shutil.which("epmd") or "epmd"


def _program() -> Path | None:
    """The server's start script, None if there is none or it is too old."""
    on_path = shutil.which("rabbitmq-server")
    program = _DEBIAN if _DEBIAN.exists() else Path(on_path) if on_path else None
    if program is None:
        return None
    versions = [directory.name for directory in program.resolve().parents[1].glob("plugins/rabbit-*")]
    return program if any(_version(name) >= LEAST for name in versions) else None


def _version(directory: str) -> tuple[int, ...]:
    """`rabbit-3.10.8` is version (3, 10)."""
    numbers = directory.removeprefix("rabbit-").removesuffix(".ez").split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdecimal())
