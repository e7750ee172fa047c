"""Signals are heard whatever blocks the process: a stop ends in time, a second one at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.command import Running, python, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

APP = """
import hashlib
import sys

from minuet import App, Event, Service

if "{loop}" == "asyncio":
    sys.modules["uvloop"] = None


class Called(Event):
    name: str


calls = Service("calls", owns=[Called])


def never() -> None:
    print('{{"event": "begun"}}', flush=True)
    if "{blocks}" == "C":
        hashlib.pbkdf2_hmac("sha256", b"x", b"x", 2**31 - 1)
    open("gate").read()


@calls.reaction
{keyword} block(call: Called) -> None:
    never()


app = App([calls], broker="sqlite:///calls.db", stop_within="{within}")


async def call() -> None:
    async with app.connected():
        await calls.emit(Called(name="x"))
"""
PLACE = "calls.block (calling.py:"
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
BLOCKS = pytest.mark.parametrize("blocks", ["Python", "C", "a thread"])


@contextmanager
def blocked(directory: Path, loop: str, blocks: str, within: str) -> Iterator[Running]:
    """An app at work whose one reaction never ends."""
    keyword = "def" if blocks == "a thread" else "async def"
    (directory / "calling.py").write_text(APP.format(loop=loop, blocks=blocks, keyword=keyword, within=within))
    os.mkfifo(directory / "gate")
    python("import asyncio, calling; asyncio.run(calling.call())", cwd=directory)
    with running("calling:app", cwd=directory) as services:
        services.until("begun")
        yield services


@LOOPS
@BLOCKS
def test_a_second_signal_ends_at_once(blocks: str, loop: str, tmp_path: Path) -> None:
    """Whatever blocks the process, and however long it may take to stop."""
    with blocked(tmp_path, loop, blocks, "1h") as services:
        services.send(signal.SIGTERM)
        services.send(signal.SIGINT)
        assert services.end() in (128 + signal.SIGTERM, 128 + signal.SIGINT)


@LOOPS
@BLOCKS
def test_a_stop_ends_in_time(blocks: str, loop: str, tmp_path: Path) -> None:
    """A second after the limit the process ends with status 1, and stderr says why. That it has stopped is said only of
    what has.
    """
    with blocked(tmp_path, loop, blocks, "50ms") as services:
        services.send(signal.SIGINT)
        assert services.end() == 1
        assert f"Process {services.process.pid} was told to stop 1.05 s ago and is still at work" in services.errors()
        left = [line["left_behind"] for line in services.lines if line["event"] == "stopped"]
    assert [[name.startswith(PLACE) for name in names] for names in left] == ([[True]] if blocks == "a thread" else [])


SERVE = """
import asyncio, os, signal

from minuet import App

handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


def waiting() -> int:
    # What is told of is what has been set last; so it is set again.
    present = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(present)
    return present


async def main() -> None:
    before = waiting()
    await App([]).serve(started=lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert waiting() == before


asyncio.run(main())
assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
print("well")
"""


def test_who_serves_gets_the_signals_back(tmp_path: Path) -> None:
    """After `serve` has returned, signals are the program's own again."""
    assert python(SERVE, cwd=tmp_path) == "well\n"


FORK = """
import asyncio, os, signal, threading

from minuet.runtime.hearing import Hearing


async def main() -> None:
    told = asyncio.Event()
    with Hearing(told.set, os._exit):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, b"!")
            while True:
                signal.pause()
        os.read(reading, 1)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)  # were it the second, this process would be gone
        await told.wait()
    for thread in threading.enumerate():
        if thread.name == "minuet signals":
            thread.join()
    print("well")


asyncio.run(main())
"""


def test_what_a_forked_child_is_told_is_its_own(tmp_path: Path) -> None:
    """A signal ends the child that it was sent to, and its parent hears nothing of it."""
    assert python(FORK, cwd=tmp_path) == "well\n"
