"""A Kafka of the tests' own: who is let in, what is said when there is none, and what its death does to nobody."""

import asyncio
import contextlib
import logging
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from minuet.brokers.kafka import KafkaBroker
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Group, Message
from tests.acceptance.accounts import NAMES, Moved, accounts
from tests.acceptance.own_servers import own_server
from tests.acceptance.pairs import look
from tests.contract.listening import listening
from tests.contract.servers import needs
from tools.services.fleet import Services
from tools.services.kafka import Kafka
from tools.services.processes import Launch
from tools.services.progress import Say
from tools.services.server import Home

pytestmark = [*needs("kafka"), pytest.mark.slow, pytest.mark.timeout(180)]

PASSWORD = "open-sesame"
COLD_SECONDS = 5.0
ASKS = f"""
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  username="minuet" password="{PASSWORD}" user_minuet="{PASSWORD}";
"""


class AskingKafka(Kafka):
    """A Kafka that lets in one user, by name and password."""

    def prepare(self, home: Home, say: Say) -> Launch:
        launch = super().prepare(home, say)
        with (home.path / "server.properties").open("a", encoding="utf-8") as properties:
            properties.write(ASKS)
        return launch

    def url(self, home: Home) -> str:
        return super().url(home).replace("://", f"://minuet:{PASSWORD}@")


@pytest.fixture(scope="module")
def server() -> Iterator[Services]:
    """A server that nobody else uses; gone at the end."""
    with own_server(AskingKafka()) as services:
        yield services


async def refusal(url: str) -> str:
    """What is said by a broker that cannot be opened, in time."""
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable) as said:
        await KafkaBroker.from_url(url).open()
    assert time.monotonic() - began < COLD_SECONDS
    return str(said.value)


async def test_no_server_is_said_within_five_seconds() -> None:
    """Nobody listens there: the sentence names the place and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = await refusal(f"kafka://127.0.0.1:{port}")
    assert f"No Kafka answers at 127.0.0.1:{port}" in said
    assert "Start it" in said


async def test_a_server_of_another_kind_is_said_within_five_seconds() -> None:
    """Something else listens there, and hangs up or answers in its own tongue."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(greet) as port:
        assert f"No Kafka answers at 127.0.0.1:{port}" in await refusal(f"kafka://127.0.0.1:{port}")


async def test_who_may_not_enter_is_told_within_five_seconds(
    server: Services, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong password, and none: the sentence says so, and nothing that is said or logged has the password."""
    caplog.set_level(logging.DEBUG)
    url = server.urls()["kafka"]
    said = await refusal(url.replace(PASSWORD, "guessed-wrong"))
    assert "does not let us in" in said
    assert "guessed-wrong" not in said + caplog.text
    assert "Kafka" in await refusal(url.replace(f"minuet:{PASSWORD}@", ""))
    assert capfd.readouterr().err == ""


async def test_who_knows_the_password_publishes_and_receives(server: Services) -> None:
    """SASL/PLAIN by the URL's user and password."""
    broker, name = KafkaBroker.from_url(server.urls()["kafka"]), f"t{uuid.uuid4().hex[:8]}"
    await broker.open()
    try:
        group = Group(name, name, (f"Came{name}",))
        await broker.provision([group])
        await broker.publish([Message(group.topics[0], "k", "1", "/test", None, b"{}")])
        async with asyncio.timeout(20):
            [delivery] = await broker.subscribe(group).receive(10)
        assert (delivery.key, delivery.id, delivery.body) == ("k", "1", b"{}")
    finally:
        await broker.close()


async def test_a_server_that_is_killed_loses_and_doubles_nothing(server: Services, tmp_path: Path) -> None:
    """Kafka is killed (SIGKILL) and started again while events are emitted and handled, twice: each account's events
    are handled once, in their order.
    """
    file, url = tmp_path / "books.db", f"{server.urls()['kafka']}/?prefix=t{uuid.uuid4().hex[:8]}.&publish_within=3s"
    app, service = accounts(url, f"sqlite:///{file}")
    emitted = 0

    async def emit(count: int) -> None:
        nonlocal emitted
        for _ in range(count):
            await service.emit(Moved(account=NAMES[emitted % len(NAMES)], number=emitted // len(NAMES)))
            emitted += 1

    async with app.running(), asyncio.timeout(150):
        await emit(600)
        for _ in range(2):
            killing = asyncio.create_task(asyncio.to_thread(server.kill, "kafka"))
            while not killing.done():
                await emit(20)
            await killing
            await emit(300)
        nothing = asyncio.Event()
        while look(file, "SELECT count(*) FROM entries")[0][0] != emitted:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(nothing.wait(), 0.1)
    numbers: dict[object, list[object]] = {}
    for account, number in look(file, "SELECT account, number FROM entries ORDER BY id"):
        numbers.setdefault(account, []).append(number)
    assert sum(map(len, numbers.values())) == emitted
    assert all(each == list(range(len(each))) for each in numbers.values())
