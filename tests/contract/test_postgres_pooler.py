"""PgBouncer in front of PostgreSQL: in session mode minuet works, in any other it says so as it starts."""

import asyncio
import socket
import time
import uuid
from urllib.parse import urlsplit

import psycopg
import pytest

from minuet import App, Event, Service
from minuet.errors import StoreUnavailable
from tests.contract.pooler import pooler
from tests.contract.servers import needs_pooler, own_database

pytestmark = needs_pooler()
LIMIT_SECONDS = 15
LOCKS = """SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND datname = current_database()"""


@pytest.fixture
def url():
    """A database of the test's own on the server."""
    with own_database() as url:
        yield url


class Asked(Event, version=1, key="who"):
    """Somebody asked."""

    who: str


def asking():
    """A service of a new name, and who was heard."""
    service, heard = Service(f"asking_{uuid.uuid4().hex[:12]}", owns=[Asked]), []

    @service.reaction
    async def hear(asked: Asked) -> None:
        heard.append(asked.who)

    return service, heard


async def asked(app, service, names):
    """Emit for each of these, and wait until all are handled."""
    async with asyncio.timeout(LIMIT_SECONDS), app.running():
        await asyncio.gather(*(service.emit(Asked(who=name)) for name in names))
        await app.settled()


def refusal(url):
    """What is said when an app with this broker and store is started."""
    service, heard = asking()
    with pytest.raises(StoreUnavailable) as refused:
        asyncio.run(asked(App([service], broker=url, store=url), service, ["never"]))
    assert not heard
    return str(refused.value)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("more", ["", "server_round_robin = 1", "default_pool_size = 1"])
def test_a_pooler_that_shares_sessions_is_refused(url, tmp_path, mode, more):
    """At the start, in prose, whatever sessions it has open; nothing of minuet's is made, and no lock stays behind."""
    with pooler(url, mode, free_port(), tmp_path / "pooler.ini", more) as between:
        first = refusal(between)
        assert refusal(between) == first
        parts = urlsplit(between)
        assert first == (
            f"What answers at postgres://{parts.hostname}:{parts.port}{parts.path} is a pooler that gives every "
            "transaction another session of PostgreSQL. minuet needs sessions of its own: it listens in one, and a "
            "lock in it says that this process lives. Have the pooler keep a session for each connection (PgBouncer: "
            "pool_mode=session), or give the URL of the server itself."
        )
        with psycopg.connect(url) as connection:
            made = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'minuet%'").fetchall()
            locks = connection.execute(LOCKS).fetchall()
        assert (made, locks) == ([], [])


def busy(between, sessions):
    """Connections that together make the pooler open so many sessions, and give them back."""
    connections = [psycopg.connect(between) for _ in range(sessions)]
    for connection in connections:
        connection.execute("SELECT 1")
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("sessions", [2, 3, 4])
@pytest.mark.parametrize("turns", [0, 1])
def test_a_pooler_with_many_sessions_is_refused(url, tmp_path, sessions, turns):
    """Also where it has several free, which it gives by turns or as they come."""
    with pooler(url, "transaction", free_port(), tmp_path / "pooler.ini", f"server_round_robin = {turns}") as between:
        busy(between, sessions)
        assert "pool_mode=session" in refusal(between)


def test_a_pooler_in_session_mode_is_as_good_as_the_server(url, tmp_path):
    """What is emitted is handled once, also by an app that takes over the sessions of one before it."""
    service, heard = asking()
    names = [f"{number:02}" for number in range(40)]
    with pooler(url, "session", free_port(), tmp_path / "pooler.ini") as between:
        for some in (names[:20], names[20:]):
            asyncio.run(asked(App([service], broker=between, store=between), service, some))
    assert sorted(heard) == names


def test_sessions_that_keep_what_was_prepared_do_no_harm(url, tmp_path):
    """A pooler that hands a session on as it is hands on statements under names that nobody else has."""
    service, heard = asking()
    names = ["a", "b", "c"]
    more = "server_reset_query = SELECT pg_advisory_unlock_all()"
    with pooler(url, "session", free_port(), tmp_path / "pooler.ini", more) as between:
        for name in names:
            asyncio.run(asked(App([service], broker=between, store=between), service, [name]))
    assert heard == names


def test_a_pooler_with_too_few_sessions_is_refused(url, tmp_path):
    """It would keep the second connection waiting for minutes."""
    with pooler(url, "session", free_port(), tmp_path / "pooler.ini", "default_pool_size = 1") as between:
        began = time.monotonic()
        said = refusal(f"{between}?connect_timeout=1&pool=3")
        assert time.monotonic() - began < LIMIT_SECONDS
        assert "did not give minuet two sessions of PostgreSQL within 1 s. A process takes one to listen" in said
        assert "up to 3 more: have the pooler allow for that (PgBouncer: default_pool_size), give ?pool= less" in said
        with psycopg.connect(between) as connection:  # both are given back
            assert connection.execute("SELECT 42").fetchone() == (42,)


def free_port():
    """A port on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]
