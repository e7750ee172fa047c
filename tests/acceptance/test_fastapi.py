"""The FastAPI guide's application, run for real and killed at each point of a request."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance import web_process
from tests.acceptance.forked import KILLED, LONGEST_SECONDS
from tests.acceptance.own_transactions import driver
from tests.acceptance.pairs import JOINED, SEPARATE, pair
from tests.acceptance.postgres_pairs import POSTGRES, POSTGRES_SEPARATE, PostgresPair, postgres_pair
from tests.acceptance.web_process import AFTER_COMMIT, BEFORE_PUBLISHING, POINTS
from tests.contract.servers import needs
from tools.documents.__main__ import ROOT
from tools.documents.blocks import blocks_of

GUIDE = ROOT / "docs" / "howto" / "use-it-with-fastapi.md"
KINDS = {
    JOINED: "sqlite+aiosqlite",
    SEPARATE: "sqlite+aiosqlite",
    POSTGRES: "postgresql+asyncpg",
    POSTGRES_SEPARATE: "postgresql+psycopg",
}
"""Each pair of broker and store, with the driver by which the application reaches it."""
EVENTS = {
    JOINED: "SELECT count(*) FROM minuet_log",
    POSTGRES: "SELECT count(*) FROM minuet_log",
    SEPARATE: "SELECT count(*) FROM minuet_outbox",
    POSTGRES_SEPARATE: "SELECT count(*) FROM minuet_outbox",
}
CASES = [
    pytest.param(kind, point, id=f"{kind}, {point}", marks=needs("postgres") if kind.startswith("postgres") else ())
    for kind in KINDS
    for point in (*POINTS, *([BEFORE_PUBLISHING] if kind in (SEPARATE, POSTGRES_SEPARATE) else []))
]
ORDER = {"order_id": "1", "pence": 500}
REACT = """
import asyncio, shop
async def react():
    async with shop.app.running(), asyncio.timeout(40):
        await shop.app.settled()
asyncio.run(react())
"""


class Shop:
    """The guide's application in a directory, on one pair of broker and store."""

    def __init__(self, kind: str, where: Any, directory: Path) -> None:
        self.where = where
        self.directory = directory
        [text] = [block.text for block in blocks_of(GUIDE.read_text()) if block.words == ("shop.py",)]
        (directory / "shop.py").write_text(text)
        broker, store = where.urls()["broker"], where.urls()["store"]
        database = driver(store, KINDS[kind])
        self.environment = os.environ | {"STORE_URL": store, "BROKER_URL": broker, "DATABASE_URL": database}

    @contextmanager
    def serving(self, point: str = "") -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
        """A web process, and a client of it that may ask at once: the socket waits until somebody listens."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            command = [sys.executable, web_process.__file__, str(listener.fileno()), point]
            process = subprocess.Popen(command, cwd=self.directory, env=self.environment, pass_fds=[listener.fileno()])
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with httpx.Client(base_url=address, timeout=LONGEST_SECONDS, trust_env=False) as client:
                yield client, process
        finally:
            process.kill()
            process.wait()

    def react(self) -> None:
        """Let the services publish and react until nothing is left to do."""
        command = [sys.executable, "-c", REACT]
        subprocess.run(command, cwd=self.directory, env=self.environment, check=True, timeout=LONGEST_SECONDS)

    def count(self, sql: str) -> int:
        [(count,)] = self.where.look(sql)
        return count


@pytest.fixture(scope="module")
def databases() -> Iterator[Callable[[str], PostgresPair]]:
    """Databases of this module's; each test has them empty."""
    made: dict[str, PostgresPair] = {}

    def empty(kind: str) -> PostgresPair:
        made[kind] = made.get(kind) or postgres_pair(kind)
        made[kind].emptied()
        return made[kind]

    yield empty
    for one in made.values():
        one.dropped()


@pytest.fixture
def shop(kind: str, databases: Callable[[str], PostgresPair], tmp_path: Path) -> Shop:
    """The application on a pair of this kind."""
    postgres = kind in (POSTGRES, POSTGRES_SEPARATE)
    return Shop(kind, databases(kind) if postgres else pair(kind, tmp_path), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "point"), CASES)
def test_a_killed_request_leaves_both_or_neither(shop: Shop, kind: str, point: str) -> None:
    """Row and event are both there or both not; who asks again is told which; the event is handled once."""
    with shop.serving(point) as (client, process):
        try:
            assert client.post("/orders", json=ORDER).status_code == 201
            assert point == BEFORE_PUBLISHING
        except httpx.TransportError:
            pass
        assert process.wait(LONGEST_SECONDS) == KILLED
    kept = 1 if point in (AFTER_COMMIT, BEFORE_PUBLISHING) else 0
    assert shop.count("SELECT count(*) FROM orders") == kept
    assert shop.count(EVENTS[kind]) == kept
    with shop.serving() as (client, process):
        assert client.post("/orders", json=ORDER).status_code == (409 if kept else 201)
        process.terminate()
        assert process.wait(LONGEST_SECONDS) in (0, -15)
    assert shop.count("SELECT count(*) FROM orders") == 1
    shop.react()
    assert shop.count("SELECT count(*) FROM confirmations WHERE order_id = '1'") == 1
    assert shop.count("SELECT count(*) FROM minuet_dead_letters") == 0
