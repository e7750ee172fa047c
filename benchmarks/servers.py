"""The servers that a question measures: its own, in a directory that is thrown away when it is answered.

Nobody else uses them, and every run gets a place of its own in them: a new database, a Kafka without topics, a virtual
host. PostgreSQL has memory and write-ahead log for more than one run, and commits synchronously; everything else is as
the servers come, or as `tools.services` starts them for tests.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tools.services.addresses import variable
from tools.services.fleet import SERVERS, Services
from tools.services.homes import Homes
from tools.services.kafka import POM
from tools.services.server import USER, Home, Missing, ServiceError

POSTGRES_SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"}
"""So that no run is hit by a checkpoint that another one caused."""
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
"""What a figure of ours stands on."""
TIDY_SECONDS = 30.0
WARMING_SECONDS = 8.0
"""How long Kafka works before anything is measured: its virtual machine, when it has just started, is several times
slower than after a while."""
QUIET = {"log_level": 3}
"""What librdkafka says of a server that has just started, it need not say."""
_RABBITMQCTL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")


class ServersMissing(Exception):
    """A question's servers could not be started, or are not as they must be."""


class ServersUninstalled(ServersMissing):
    """They are not on this machine, and cannot be put there; the message says how to get them."""


class Servers:
    """Servers that run. `place` is one run's share of them."""

    def __init__(self, urls: dict[str, str], homes: dict[str, Home]) -> None:
        self._urls = urls
        self._homes = homes
        self._places = 0

    @contextlib.contextmanager
    def place(self) -> Generator[dict[str, str]]:
        """The environment variables that lead one run to a place where nobody has been; all of it goes afterwards."""
        self._places += 1
        name = f"run{self._places}"
        with contextlib.ExitStack() as places:
            urls = {
                server: places.enter_context(_PLACES[server](url, self._homes[server], name))
                for server, url in self._urls.items()
            }
            yield {variable(server): url for server, url in urls.items()}

    def versions(self) -> dict[str, str]:
        """Each server's version."""
        return {server: _VERSIONS[server](self._urls[server], self._homes[server]) for server in self._urls}


@contextlib.contextmanager
def running(names: Sequence[str], scratch: Path) -> Generator[Servers]:
    """Start these servers in a new directory, and afterwards end them and throw it away. Raises ServersMissing."""
    if not names:
        yield Servers({}, {})
        return
    directory = Path(tempfile.mkdtemp(dir=scratch, prefix="servers-"))
    services = Services(directory, environment={})
    try:
        urls = _started(services, names)
        homes = Homes(directory)
        yield Servers(urls, {server.name: home for server in SERVERS if (home := homes.of(server))})
    except ServiceError as error:
        raise ServersMissing(f"{error.name}: {error}") from error
    finally:
        services.stop()
        shutil.rmtree(directory)


def _started(services: Services, names: Sequence[str]) -> dict[str, str]:
    report = services.start(names)
    if report.problems:
        kind = ServersUninstalled if all(isinstance(each, Missing) for each in report.problems) else ServersMissing
        raise kind("\n".join(f"{problem.name}: {problem}" for problem in report.problems))
    if "postgres" in names:
        with psycopg.connect(_libpq(report.urls["postgres"]), autocommit=True) as connection:
            for setting, value in POSTGRES_SETTINGS.items():
                connection.execute(
                    sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(setting), sql.Literal(value))
                )
        services.restart("postgres")
        refuse_volatile(report.urls["postgres"])
    if "kafka" in names:
        _warm(report.urls["kafka"])
        _empty(report.urls["kafka"])
    return report.urls


def _warm(url: str) -> None:
    """Let Kafka work for some seconds, as the measured programs make it work."""
    from confluent_kafka import Consumer, Producer  # noqa: PLC0415, only questions about Kafka need it

    where: dict[str, str | int] = {"bootstrap.servers": urlsplit(url).netloc, **QUIET}
    topics = [f"warm{number}" for number in range(6)]
    producer = Producer({**where, "acks": "all", "enable.idempotence": True})
    producer.produce(topics[0], b"first")
    producer.flush(TIDY_SECONDS)
    consumer = Consumer({**where, "group.id": "warm", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe(topics[:1])
    until = time.monotonic() + WARMING_SECONDS
    while time.monotonic() < until:
        for topic in topics:
            for _ in range(40):
                producer.produce(topic, bytes(400))
        if producer.flush(TIDY_SECONDS):
            raise ServersMissing("Kafka does not acknowledge what it is warmed with.")
        if consumer.consume(40, TIDY_SECONDS):
            consumer.commit(asynchronous=False)
    consumer.close()


def refuse_volatile(url: str) -> None:
    """A server that may lose what it acknowledged is not measured: raises ServersMissing."""
    with psycopg.connect(_libpq(url)) as connection:
        for setting, wanted in DURABLE.items():
            found = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
            if found != (wanted,):
                raise ServersMissing(f"PostgreSQL runs with {setting} = {found and found[0]}, not {wanted}.")


def _libpq(url: str) -> str:
    return url.replace("postgres://", "postgresql://", 1)


@contextlib.contextmanager
def _database(url: str, _home: Home, name: str) -> Generator[str]:
    with psycopg.connect(_libpq(url), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.execute("CHECKPOINT")
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def _cluster(url: str, _home: Home, _name: str) -> Generator[str]:
    yield url
    _empty(url)


def _empty(url: str) -> None:
    """Delete every topic and every group."""
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415, only questions about Kafka need it

    admin: Any = AdminClient({"bootstrap.servers": urlsplit(url).netloc, **QUIET})
    until = time.monotonic() + TIDY_SECONDS
    while topics := [topic for topic in admin.list_topics(timeout=10).topics if not topic.startswith("__")]:
        for done in admin.delete_topics(topics).values():
            with contextlib.suppress(Exception):  # gone already; what is not is seen in the next look
                done.result()
        if time.monotonic() > until:
            raise ServersMissing(f"Kafka does not delete its topics {', '.join(topics)}.")
    groups = [group.group_id for group in admin.list_consumer_groups().result().valid]
    if groups:
        for done in admin.delete_consumer_groups(groups).values():
            with contextlib.suppress(Exception):  # a group that is being left goes by itself
                done.result()


@contextlib.contextmanager
def _virtual_host(url: str, home: Home, name: str) -> Generator[str]:
    _rabbitmqctl(home, "add_vhost", name)
    _rabbitmqctl(home, "set_permissions", "-p", name, USER, ".*", ".*", ".*")
    yield urlsplit(url)._replace(path=f"/{name}").geturl()
    _rabbitmqctl(home, "delete_vhost", name)


def _rabbitmqctl(home: Home, *words: str) -> str:
    """Tell RabbitMQ's own node something, or ask it."""
    program = str(_RABBITMQCTL) if _RABBITMQCTL.exists() else shutil.which("rabbitmqctl") or "rabbitmqctl"
    environment = {
        **os.environ,
        "HOME": str(home.path),  # where Erlang keeps its cookie
        "LC_ALL": "C.UTF-8",
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "ERL_EPMD_PORT": str(home.ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    command = (program, "--quiet", "--node", "minuet@localhost", *words)
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=home.path)
    if told.returncode:
        raise ServersMissing(f"rabbitmqctl {words[0]} ended with status {told.returncode}: {told.stderr.strip()}")
    return told.stdout.strip()


def _postgres_version(url: str, _home: Home) -> str:
    with psycopg.connect(_libpq(url)) as connection:
        [(version,)] = connection.execute("SHOW server_version").fetchall()
    return str(version).split()[0]


def _kafka_version(_url: str, _home: Home) -> str:
    found = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([^<]+)", POM.read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def _rabbitmq_version(_url: str, home: Home) -> str:
    return _rabbitmqctl(home, "version")


_PLACES = {"postgres": _database, "kafka": _cluster, "rabbitmq": _virtual_host}
_VERSIONS = {"postgres": _postgres_version, "kafka": _kafka_version, "rabbitmq": _rabbitmq_version}
