"""The servers that questions measure: durable, and a place of its own for every run."""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from benchmarks import servers
from benchmarks.servers import DURABLE, POSTGRES_SETTINGS, Servers, ServersMissing, ServersUninstalled

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Servers]:
    with contextlib.ExitStack() as started:
        try:
            yield started.enter_context(servers.running(("postgres",), tmp_path_factory.mktemp("scratch")))
        except ServersUninstalled as missing:
            if os.environ.get("CI", "").lower() in {"1", "true"}:
                raise
            pytest.skip(str(missing))


def test_without_servers_nothing_is_started(tmp_path: Path) -> None:
    """Questions about SQLite need none."""
    with servers.running((), tmp_path) as none, none.place() as environment:
        assert environment == {}
        assert none.versions() == {}
    assert not list(tmp_path.iterdir())


def test_each_run_has_a_database_where_nobody_has_been(running: Servers) -> None:
    """What one run leaves behind, the next one does not find."""
    for _ in range(2):
        with running.place() as environment, psycopg.connect(_libpq(environment)) as connection:
            connection.execute("CREATE TABLE left_behind (number INTEGER)")


def test_postgres_is_durable_and_has_room_for_a_run(running: Servers) -> None:
    """Figures of a server that forgets would be worth nothing."""
    with running.place() as environment, psycopg.connect(_libpq(environment)) as connection:
        found = {
            setting: connection.execute("SELECT current_setting(%s)", (setting,)).fetchall()[0][0]
            for setting in POSTGRES_SETTINGS | DURABLE
        }
    assert found == POSTGRES_SETTINGS | DURABLE
    assert running.versions()["postgres"].split(".")[0].isdecimal()


def test_a_server_that_may_forget_is_not_measured(running: Servers) -> None:
    """Somebody's configuration might turn it off."""
    with running.place() as environment, psycopg.connect(_libpq(environment), autocommit=True) as connection:
        connection.execute("ALTER ROLE minuet SET synchronous_commit = off")
        try:
            with pytest.raises(ServersMissing, match="synchronous_commit = off, not on"):
                servers.refuse_volatile(environment["MINUET_POSTGRES_URL"])
        finally:
            connection.execute("ALTER ROLE minuet RESET synchronous_commit")


def _libpq(environment: dict[str, str]) -> str:
    return environment["MINUET_POSTGRES_URL"].replace("postgres://", "postgresql://", 1)
