"""Where the real servers are: in the environment, or in what `python -m tools.services start` has written."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tools.services import addresses
from tools.services.postgres import pooler

WRITTEN = Path(__file__).parents[2] / ".services"


def url_of(name: str) -> str | None:
    """The URL of a server, None if there is none to be reached."""
    return addresses.given(os.environ, [name]).get(name) or addresses.read(WRITTEN).get(name)


def needs(name: str) -> list[pytest.MarkDecorator]:
    """The marks of tests against a server. Without it they are skipped and the summary says so; not so in CI."""
    here = url_of(name) is not None or _in_ci()
    how = f"no {name} to test against: `make services ONLY={name}`, or give {addresses.variable(name)}"
    return [pytest.mark.services, pytest.mark.skipif(not here, reason=how)]


def needs_pooler() -> list[pytest.MarkDecorator]:
    """The same for tests that put PgBouncer in front of PostgreSQL."""
    here = pooler() is not None or _in_ci()
    how = "no pgbouncer to put in front of PostgreSQL: `make services ONLY=postgres` as root, or install it yourself"
    return [*needs("postgres"), pytest.mark.skipif(not here, reason=how)]


@contextmanager
def own_database() -> Iterator[str]:
    """The URL of a new database on the PostgreSQL server, dropped afterwards."""
    server, name = url_of("postgres") or "", f"minuet_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}
