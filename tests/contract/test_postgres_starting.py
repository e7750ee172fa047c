"""What is said when PostgreSQL does not let minuet in, or does not let it work: in prose, in time, without secrets."""

import asyncio
import contextlib
import socket
import uuid
from urllib.parse import urlsplit

import psycopg
import pytest

from minuet.config import open_broker, open_store
from minuet.databases.postgres.place import CONNECT_SECONDS
from minuet.errors import StoreUnavailable
from tests.acceptance.command import minuet, running
from tests.acceptance.post_office import post_office
from tests.contract import old_postgres
from tests.contract.listening import hang_up, listening
from tests.contract.servers import needs, url_of

pytestmark = needs("postgres")
LIMIT_SECONDS = 5
OPENS = pytest.mark.parametrize("opens", [open_broker, open_store], ids=["broker", "store"])


@pytest.fixture
def server():
    """A schema of the test's own on the server, not made yet."""
    url, name = url_of("postgres") or "", f"minuet_{uuid.uuid4().hex[:12]}"
    yield f"{url}?schema={name}"
    do(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture
def stranger(server):
    """The same schema, now made, as a user who may look into it and no more, and that user's name."""
    name, schema = f"stranger_{uuid.uuid4().hex[:12]}", urlsplit(server).query.partition("=")[2]
    do(
        f"CREATE ROLE {name} LOGIN PASSWORD 'secret/@'",
        f"CREATE SCHEMA {schema}",
        f"GRANT USAGE ON SCHEMA {schema} TO {name}",
    )
    yield urlsplit(server)._replace(netloc=f"{name}:secret%2F%40@{host_of(server)}").geturl(), name, schema
    do(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def do(*statements):
    """Perform these on the server, each by itself."""
    with psycopg.connect(url_of("postgres") or "", autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def host_of(url):
    """Host and port."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"


async def opened(adapter, **how):
    """Open and close."""
    await adapter.open(**how)
    await adapter.close()


def refusal(opens, url):
    """What it says when it cannot be opened; it says so in time."""

    async def tried():
        async with asyncio.timeout(LIMIT_SECONDS):
            await opened(opens(url))

    with pytest.raises(StoreUnavailable) as refused:
        asyncio.run(tried())
    assert "secret" not in str(refused.value)
    assert repr(opens(url)).count("secret") == 0
    return str(refused.value)


@OPENS
def test_a_missing_server_is_told(opens):
    """Nothing listens at that port."""
    said = refusal(opens, f"postgres://shop:secret@127.0.0.1:{free_port()}/shop")
    assert said.endswith("Connection refused. Nothing listens there: check host and port, or wait for it with --wait.")


@OPENS
def test_a_wrong_password_is_told(opens):
    """With the user, who is in the server's log too, and without what was tried."""
    parts = urlsplit(url_of("postgres") or "")
    user, place = parts.username, f"{parts.hostname}:{parts.port}{parts.path}"
    assert refusal(opens, f"postgres://{user}:secret@{place}") == (
        f"PostgreSQL at postgres://{place} does not let minuet in: password authentication failed for user "
        f'"{user}". Check user and password of the URL.'
    )


@OPENS
def test_an_unknown_database_is_told(opens):
    """It is not made: whoever mistyped a name would have two."""
    nowhere = urlsplit(url_of("postgres") or "")._replace(path="/nowhere_at_all").geturl()
    assert refusal(opens, nowhere).endswith(
        'database "nowhere_at_all" does not exist. Create that database, or correct the URL.'
    )


def of_a_fake(answer, url):
    """What is said of something that listens and answers so."""

    async def tried():
        async with listening(answer) as port, asyncio.timeout(LIMIT_SECONDS):
            with pytest.raises(StoreUnavailable) as refused:
                await opened(open_store(url.format(host=f"127.0.0.1:{port}")))
            return str(refused.value).replace(f"127.0.0.1:{port}", "host")

    return asyncio.run(tried())


def test_something_else_that_listens_is_told():
    """A web server on that port is no PostgreSQL."""
    assert of_a_fake(old_postgres.web_server, "postgres://u:secret@{host}/shop").endswith(
        "Check that PostgreSQL is what listens there."
    )


def test_a_server_that_never_answers_is_not_waited_for():
    """The limit is for all hosts of the URL together, and can be shortened."""
    assert CONNECT_SECONDS < LIMIT_SECONDS
    url = "postgres://u:secret@{host},{host}/shop?connect_timeout=1"
    assert of_a_fake(old_postgres.nobody, url).startswith(
        "PostgreSQL at postgres://host,host/shop does not let minuet in: no answer within 2 s, timeout expired. "
    )


def test_an_old_server_is_told_with_its_version():
    """Version 14 lets everybody in, and minuet does not go in."""
    assert of_a_fake(old_postgres.version("14.12"), "postgres://u:secret@{host}/shop") == (
        "The PostgreSQL at postgres://host/shop is version 14, and minuet needs 15 or later. Upgrade it, or name "
        "another one."
    )


@OPENS
def test_a_user_without_rights_is_told_which(opens, server, stranger):
    """In a schema where it may not create, and on tables that somebody else has made; with the rights it opens."""
    url, name, schema = stranger
    first = refusal(opens, url)
    assert f"making its tables failed: permission denied for schema {schema}" in first
    assert first.endswith("make a schema that is this user's and name it: ?schema=shop.")
    asyncio.run(opened(opens(server)))
    assert "no right to read and write minuet_" in refusal(opens, url)
    do(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {name}")
    asyncio.run(opened(opens(url)))


@OPENS
def test_a_database_that_lets_nobody_write_is_told(opens, server):
    """Before minuet has been there and after; looking at it is allowed all the same."""
    frozen = f"{server}&options=-cdefault_transaction_read_only=on"
    fresh = refusal(opens, frozen)
    assert "It lets nobody write: a standby, or default_transaction_read_only is on. Name the primary" in fresh
    asyncio.run(opened(opens(server)))
    assert refusal(opens, frozen) == fresh
    asyncio.run(opened(opens(frozen), create=False))


def test_who_may_not_wait_for_a_lock_is_told_what_was_waited_for(server):
    """A setting of the user's ends the wait for another process's setup; that one goes on."""

    async def tried():
        first, second = open_store(server), open_store(f"{server}&options=-clock_timeout=1")
        await first.open()
        await second.open()
        async with first.transaction() as unit:
            await unit.one_at_a_time()
            with pytest.raises(StoreUnavailable, match=r"waiting for other processes failed: .* timeout\."):
                async with second.transaction() as other:
                    await other.one_at_a_time()
        await second.close()
        await first.close()

    asyncio.run(tried())


async def passed_on(url, port, come):
    """Let connections through to the server from this port, while `come` runs; what it returns."""
    parts = urlsplit(url)

    async def pipe(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        await hang_up(writer)

    async def through(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))
        finally:
            await hang_up(far_writer)

    async with listening(through, port):
        return await asyncio.to_thread(come)


def test_a_run_that_waits_starts_when_postgres_comes(server, tmp_path):
    """Services that are started before their database begin when it is there, on that very address."""
    office = post_office(tmp_path)
    port = free_port()
    parts = urlsplit(server)
    url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    with running("post:app", "--broker", url, "--wait", "600", "--drain", cwd=office) as services:
        assert "Connection refused" in services.until("unavailable")["reason"]
        assert asyncio.run(passed_on(server, port, services.end)) == 0
    assert "started" in [line["event"] for line in services.lines]
    assert str(parts.password) not in str(services.lines)


LOUD = """
import logging

import post

logging.basicConfig(level=logging.DEBUG, force=True)
app = post.app
"""


def test_no_verb_shows_the_password_that_let_it_in(stranger, tmp_path):
    """With a password from the environment everything works, and at debug logging too nothing repeats it."""
    url, name, schema = stranger
    do(f"GRANT CREATE ON SCHEMA {schema} TO {name}")
    place = urlsplit(url)._replace(netloc=f"{name}:${{KEY}}@{host_of(url)}").geturl()
    office = post_office(tmp_path)
    (office / "loud.py").write_text(LOUD)
    for words in (
        ["run", "loud:app", "--drain", "--verbose", "--broker", place],
        ["doctor", "loud:app", "--store", place],
        ["trace", "nothing", "--store", place],
        ["dlq", "list", "--store", place],
    ):
        status = 1 if words[0] == "trace" else 0
        said = minuet(*words, cwd=office, status=status, KEY="secret/@", PYTHONASYNCIODEBUG="1")
        assert "secret" not in said.stdout + said.stderr, words


def free_port():
    """A port on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]
