"""`minuet run` where a server is not there, comes late, or never; and that nothing of how to get in is ever shown."""

import signal
import socket

import pytest

from tests.acceptance.command import minuet, python, running
from tests.acceptance.post_office import post_office

LATE = """
from pathlib import Path

import post
from minuet import App
from minuet.brokers.memory import MemoryBroker
from minuet.errors import BrokerUnavailable


class Late(MemoryBroker):
    async def open(self, *, create: bool = True) -> None:
        if not Path("come").exists():
            raise BrokerUnavailable("late:// is not there yet. Make the file come.")


app = App([post.boxes, post.delivery], broker=Late(), store="sqlite:///own.db")
"""
WAITS = """
import asyncio
from pathlib import Path

import late


class Told:
    points = frozenset()

    def trouble(self, where, error):
        print(where.partition(" (")[0], error)
        Path("come").touch()


async def main():
    late.app.observers = (Told(),)
    late.app.wait_seconds = 60
    async with late.app.connected():
        print("connected")

asyncio.run(main())
"""


@pytest.fixture
def office(tmp_path):
    """A post office, and the same one on a broker that comes when there is a file."""
    (tmp_path / "late.py").write_text(LATE)
    return post_office(tmp_path)


@pytest.fixture
def nowhere():
    """A port of this machine on which nothing listens, as host:port; it is ours until the test ends."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def test_without_patience_a_start_fails_at_once(office):
    """One attempt, its reason on stderr, status 1."""
    said = minuet("run", "late:app", cwd=office, status=1)
    assert (said.stdout, said.stderr) == ("", "late:// is not there yet. Make the file come.\n")


def test_a_server_that_is_missing_is_told(office, nowhere):
    """Where it was looked for, why it failed and what to do; the same from doctor, which ends with status 1 too."""
    url = f"postgres://shop:secret@{nowhere}/shop?sslpassword=secret"
    expected = (
        f"PostgreSQL at postgres://{nowhere}/shop does not let minuet in: Connection refused. Nothing listens there: "
        "check host and port, or wait for it with --wait."
    )
    assert minuet("run", "post:app", "--broker", url, cwd=office, status=1).stderr == f"{expected}\n"
    assert expected in minuet("doctor", "--store", url, cwd=office, status=1).stdout


def test_with_patience_it_starts_when_the_server_comes(office):
    """Each attempt that fails is told with its reason and with when the next one is; then it starts as ever."""
    with running("late:app", "--wait", "600", cwd=office) as services:
        told = [services.until("unavailable") for _ in range(2)]
        (office / "come").touch()
        services.until("started")
        services.send(signal.SIGTERM)
        assert services.end() == 0
    for attempt, line in enumerate(told):
        assert line["reason"] == "late:// is not there yet. Make the file come."
        assert 0 <= line["again_seconds"] <= 0.25 * 2**attempt


def test_patience_has_an_end(office):
    """When the time is over the last attempt's reason ends the run with status 1."""
    said = minuet("run", "late:app", "--wait", "0.2", cwd=office, status=1)
    assert said.stderr == "late:// is not there yet. Make the file come.\n"
    first = said.stdout.splitlines()[0]
    assert first.startswith("late:// is not there yet. Make the file come. Trying again in 0.")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_who_waits_can_be_stopped(office, number):
    """A signal ends the waiting; nothing had begun, so nothing is to be finished."""
    with running("late:app", "--wait", "600", cwd=office) as services:
        services.until("unavailable")
        services.send(number)
        assert services.end() == 0
    assert services.lines[-1]["event"] == "stopped"
    assert "started" not in [line["event"] for line in services.lines]


def test_from_python_observers_are_told(office):
    """App(wait_seconds=...) waits in the same way, and says so to whoever observes."""
    assert python(WAITS, cwd=office).splitlines() == [
        "starting late:// is not there yet. Make the file come.",
        "connected",
    ]


def test_a_variable_that_is_missing_stops_the_start(office):
    """It is named, with the place and without the rest of the credentials."""
    said = minuet("run", "post:app", "--store", "postgres://u:secret${SHOP_KEY}@db/shop", cwd=office, status=1)
    assert said.stderr == (
        "postgres://db/shop takes ${SHOP_KEY} from the environment, which has no SHOP_KEY. "
        "Set it, or write the value.\n"
    )


def test_variables_name_places_too(office):
    """A file's folder from the environment, as a container has it."""
    (office / "data").mkdir()
    said = minuet("run", "post:app", "--drain", "--broker", "sqlite:///${DATA}/post.db", cwd=office, DATA="data").stdout
    assert "on sqlite:///${DATA}/post.db, process" in said
    assert (office / "data" / "post.db").exists()


LOUD = """
import logging

import post

logging.basicConfig(level=logging.DEBUG, force=True)
app = post.app
"""


SAID_TO_EVERY_VERB = [
    "postgres://shop:secret@{nowhere}/shop",
    "postgres://shop:${{KEY}}@{nowhere}/shop",
    "postgres://{nowhere}/shop?user=shop&password=secret&sslpassword=${{KEY}}",
]
MISTAKES = ["postgres://shop:se?secret@{nowhere}/shop", "postgress://shop:secret@{nowhere}/shop"]


def no_verb_shows(office, place, verbs):
    """Each verb fails, says so, and says nothing of what is secret, however loud the logs are."""
    (office / "loud.py").write_text(LOUD)
    for words in verbs:
        said = minuet(*words, place, cwd=office, status=1, KEY="secret@/?#", PYTHONASYNCIODEBUG="1")
        assert said.stdout + said.stderr, words
        assert "secret" not in said.stdout + said.stderr, words


@pytest.mark.parametrize("url", SAID_TO_EVERY_VERB)
def test_no_verb_shows_how_to_get_in(office, nowhere, url):
    """Where nothing answers, a place is named by every verb; neither a password nor a variable's value is."""
    verbs = [
        ["run", "loud:app", "--wait", "0.1", "--json", "--broker"],
        ["doctor", "loud:app", "--store"],
        ["trace", "l1", "--store"],
        ["dlq", "list", "--store"],
    ]
    no_verb_shows(office, url.format(nowhere=nowhere), verbs)


@pytest.mark.parametrize("url", MISTAKES)
def test_a_mistake_in_a_url_does_not_show_it(office, nowhere, url):
    """A password that is not percent-encoded, a scheme that does not exist: the rest of the URL stays unsaid."""
    no_verb_shows(office, url.format(nowhere=nowhere), [["run", "loud:app", "--verbose", "--broker"]])
