"""What `minuet doctor` says of PostgreSQL to somebody whom it woke: who holds the log back, and what is short."""

import asyncio
import json
import time
import uuid

import psycopg
import pytest

from minuet.config import open_broker
from minuet.databases.postgres import examination
from tests.acceptance.command import minuet
from tests.acceptance.post_office import post_office
from tests.contract.servers import needs, url_of

pytestmark = needs("postgres")


@pytest.fixture
def url():
    """A schema of the test's own."""
    server, schema = url_of("postgres") or "", f"minuet_{uuid.uuid4().hex[:12]}"
    yield f"{server}?schema={schema}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


async def examined(url):
    """What is found, by subject."""
    broker = open_broker(url)
    await broker.open()
    try:
        return {one.subject: one for one in await broker.examine()}
    finally:
        await broker.close()


def look(url):
    """As `examined`, from outside an event loop."""
    return asyncio.run(examined(url))


def test_a_transaction_that_holds_the_log_back_is_named(url, monkeypatch):
    """Who has it open, since when, what it costs and how to end it; once it is over, all is well."""
    monkeypatch.setattr(examination, "LONG_SECONDS", 0.0)
    with psycopg.connect(url_of("postgres") or "", application_name="night job") as connection:
        connection.execute("SELECT pg_current_xact_id()")
        pid = connection.info.backend_pid
        held = look(url)["postgres.horizon"]
        end = time.monotonic() + 60
        while "(night job, " not in held.found and time.monotonic() < end:  # others on this server, until they end
            held = look(url)["postgres.horizon"]
    assert held.well is False
    assert f"(night job, process {pid}) " in held.found
    assert "what was published since it began is read only once it ends" in held.found
    assert f"SELECT pg_terminate_backend({pid})" in held.advice


def test_a_user_who_sees_only_itself_is_told_so(url):
    """A database that shows a user no others' transactions is not called free of them."""
    name = f"stranger_{uuid.uuid4().hex[:12]}"
    schema = url.rpartition("=")[2]
    server = url_of("postgres") or ""
    host = server.rpartition("@")[2]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
        connection.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {name}")
        try:
            found = look(f"postgres://{name}:pw@{host}?schema={schema}")["postgres.horizon"]
        finally:
            connection.execute(f"DROP OWNED BY {name}")
            connection.execute(f"DROP ROLE {name}")
    assert found.well is None
    assert "may not see those of others" in found.found
    assert "pg_read_all_stats" in found.advice


def test_connections_are_counted_before_none_is_left(url, monkeypatch):
    """How many there are and how many are taken; near the end it is wrong, with what to do."""
    monkeypatch.setattr(examination, "NEARLY_ALL", 1.0)
    found = look(url)["postgres.connections"]
    assert found.well is True
    monkeypatch.setattr(examination, "NEARLY_ALL", 0.0)
    short = look(url)["postgres.connections"]
    assert short.well is False
    assert "A process of minuet has up to 11 here: give ?pool= less" in short.advice


def test_the_command_tells_all_of_it(url, tmp_path):
    """Version, durability, connections and horizon are findings of `minuet doctor`, also as JSON."""
    office = post_office(tmp_path)
    minuet("run", "post:app", "--drain", "--broker", url, cwd=office)
    report = json.loads(minuet("doctor", "post:app", "--store", url, "--json", cwd=office, status=None).stdout)
    subjects = {one["subject"] for one in report["findings"]}
    assert {"postgres.version", "postgres.durability", "postgres.connections", "postgres.horizon"} <= subjects
