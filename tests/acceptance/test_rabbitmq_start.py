"""What `rabbitmq://` says of a server that is not there, not right, not willing, or not as it should be."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from pamqp import commands, frame

from minuet.brokers.rabbitmq import RabbitBroker
from minuet.brokers.rabbitmq.address import Address
from minuet.brokers.rabbitmq.aside import MOST_HELD, aside_of
from minuet.brokers.rabbitmq.connection import Connection
from minuet.errors import BrokerUnavailable, MessagesRefused, NeverUsed, StartupError
from minuet.ports.broker import Group, Message
from tests.contract.listening import Answer, listening
from tests.contract.rabbitmq_places import forget
from tests.contract.servers import needs, url_of
from tools.services.fleet import Services
from tools.services.rabbitmq import RabbitMQ

needs_server = needs("rabbitmq")
needs_own = [*needs_server, pytest.mark.slow]


@asynccontextmanager
async def opened(url: str):
    """A broker that is open."""
    broker = RabbitBroker.from_url(url)
    await broker.open()
    try:
        yield broker
    finally:
        await broker.close()


async def refusal(url: str) -> str:
    """What `open` raises, within five seconds."""
    async with asyncio.timeout(5):
        with pytest.raises(BrokerUnavailable) as raised:
            await RabbitBroker.from_url(url).open()
    assert "secret" not in str(raised.value)
    return str(raised.value)


def greeting(product: str, version: str) -> Answer:
    """How a server of this kind begins."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        start = commands.Connection.Start(server_properties={"product": product, "version": version})
        writer.write(frame.marshal(start, 0))
        await reader.read()

    return answer


async def test_a_server_that_is_not_there_is_named() -> None:
    """Nobody listens: the message has the place, and no password."""
    async with listening(greeting("", "")) as port:
        pass
    told = await refusal(f"rabbitmq://me:secret@127.0.0.1:{port}/shop")
    assert f"No RabbitMQ can be reached at 127.0.0.1:{port}/shop" in told


@pytest.mark.parametrize(("product", "version"), [("RabbitMQ", "3.9.29"), ("Other", "9.9.9"), ("RabbitMQ", "")])
async def test_a_server_that_is_too_old_or_another_is_refused(product: str, version: str) -> None:
    """Its own words decide, before anybody logs in."""
    async with listening(greeting(product, version)) as port:
        told = await refusal(f"rabbitmq://me:secret@127.0.0.1:{port}")
    assert product in told
    assert version in told
    assert "3.10 or later" in told


async def test_what_speaks_something_else_is_quoted() -> None:
    """A web server's first words are shown."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nServer: somebody\r\n\r\n")

    async with listening(answer) as port:
        told = await refusal(f"rabbitmq://me:secret@127.0.0.1:{port}")
    assert "does not speak AMQP" in told
    assert "HTTP/1.1 400 Bad Request" in told


async def test_what_says_nothing_is_not_waited_for() -> None:
    """A port that takes connections and is silent, and one that closes them at once."""

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def closing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        return

    async with listening(silent) as port:
        assert "did not answer as RabbitMQ does" in await refusal(f"rabbitmq://me:secret@127.0.0.1:{port}")
    async with listening(closing) as port:
        assert "has ended" in await refusal(f"rabbitmq://me:secret@127.0.0.1:{port}")


async def test_tls_to_a_server_without_it_is_said() -> None:
    """The handshake fails, and the message speaks of TLS."""
    async with listening(greeting("RabbitMQ", "4.0.0")) as port:
        told = await refusal(f"rabbitmq://me:secret@127.0.0.1:{port}?tls=on")
    assert "TLS" in told or "did not answer" in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("rabbitmq://h?queue=1", "no option 'queue'"),
        ("rabbitmq://h?queues=0", "queues=0"),
        ("rabbitmq://h?queues=many", "queues=many"),
        ("rabbitmq://h?heartbeat=", "heartbeat="),
        ("rabbitmq://h?tls=perhaps", "tls=perhaps"),
        ("rabbitmq://h?exchange=amq.topic", "amq."),
        ("rabbitmq://h:99999", "port"),
    ],
)
def test_a_wrong_url_is_refused(url: str, told: str) -> None:
    """Each option says what it may be."""
    with pytest.raises(StartupError, match=r"rabbitmq://") as raised:
        RabbitBroker.from_url(url)
    assert told in str(raised.value)


async def test_a_certificate_that_is_not_there_is_named() -> None:
    """The file stands in the message."""
    with pytest.raises(StartupError, match="ca=/nowhere"):
        await RabbitBroker.from_url("rabbitmq://h?ca=/nowhere").open()


def test_a_url_is_read() -> None:
    """Defaults, escapes, TLS's own port; what is shown has no password."""
    plain = Address.from_url("rabbitmq://host")
    assert (plain.port, plain.vhost, plain.user, plain.exchange, plain.queues) == (5672, "/", "guest", "minuet", None)
    full = Address.from_url("rabbitmq://me:se%2Fcret@host/a%2Fb?tls=on&queues=16&exchange=shop&heartbeat=30")
    assert (full.port, full.vhost, full.password) == (5671, "a/b", "se/cret")
    assert (full.queues, full.exchange, full.heartbeat_seconds) == (16, "shop", 30)
    for shown in (repr(full), repr(RabbitBroker(full))):
        assert "cret" not in shown


class TestOnTheServer:
    """Against a real one."""

    pytestmark = needs_server

    @pytest.fixture
    def url(self) -> Iterator[str]:
        """The server, with an exchange of the test's own."""
        url = f"{url_of('rabbitmq')}?exchange=x-{uuid.uuid4().hex[:8]}"
        yield url
        asyncio.run(forget(url, Group("shop", "shop", ("Sold",))))

    async def test_a_wrong_password_is_said(self, url: str) -> None:
        """Who was not let in, and no more."""
        parts = urlsplit(url)
        told = await refusal(parts._replace(netloc=f"minuet:secret@{parts.hostname}:{parts.port}").geturl())
        assert "does not let 'minuet' in" in told

    async def test_an_unknown_virtual_host_is_said(self, url: str) -> None:
        """With its name, and how it is made."""
        told = await refusal(urlsplit(url)._replace(path="/nowhere").geturl())
        assert "'nowhere'" in told
        assert "add_vhost" in told

    async def test_a_place_that_was_never_used_is_left_alone(self, url: str) -> None:
        """To look only, nothing is made."""
        for _ in range(2):
            with pytest.raises(NeverUsed, match="has no exchange"):
                await RabbitBroker.from_url(url).open(create=False)

    async def test_publishing_and_subscribing_without_provisioning_say_so(self, url: str) -> None:
        """Both name what is missing and the remedy."""
        async with opened(url) as broker:
            with pytest.raises(BrokerUnavailable, match=r"no exchange .* Provision it first"):
                await broker.publish([Message("T", "k", "i", "/s", None, b"{}")])
            with pytest.raises(BrokerUnavailable, match="never provisioned"):
                await broker.subscribe(Group("g", "g", ("T",))).receive(1)

    async def test_a_queue_of_another_kind_is_refused_and_left(self, url: str) -> None:
        """The plan says which and why; provisioning changes nothing at all."""
        async with opened(url) as broker:
            exchange, group = broker._address.exchange, Group("shop", "shop", ("Sold",))
            connection = await Connection.connect(broker._address)
            channel = await connection.channel()
            name = f"{exchange}.shop.0"
            await channel.ask(commands.Queue.Declare(queue=name, durable=True), commands.Queue.DeclareOk)
            refused = [change for change in await broker.plan([group]) if change.refused is not None]
            assert [change.what for change in refused] == [f"queue {name}"]
            with pytest.raises(BrokerUnavailable, match=name):
                await broker.provision([group])
            assert not await broker._topology.has_exchange(connection)
            await channel.ask(commands.Queue.Delete(queue=name), commands.Queue.DeleteOk)
            await connection.close()

    async def test_queues_grow_when_the_url_asks_and_never_shrink(self, url: str) -> None:
        """Two, then four; who asks for fewer gets the four; every message comes once whatever the number."""
        group = Group("shop", "shop", ("Sold",))
        for asked, there in (("1", 1), ("2", 2), ("4", 4), ("2", 4)):
            broker = RabbitBroker.from_url(f"{url}&queues={asked}")
            await broker.open()
            changes = await broker.plan([group])
            assert bool(changes) == (asked != "2" or there == 2)
            if there > 1 and changes:
                assert any("overtake" in change.how for change in changes)
            await broker.provision([group])
            assert await broker.plan([group]) == []
            messages = [Message("Sold", f"key {number}", f"{number}", "/s", None, b"{}") for number in range(20)]
            await broker.publish(messages)
            subscription, found = broker.subscribe(group), list[str | None]()
            while len(found) < len(messages):
                lot = await subscription.receive(100)
                await subscription.acknowledge(lot)
                found += [each.id for each in lot]
            assert sorted(map(str, found)) == sorted(str(message.id) for message in messages)
            layout = await broker._topology.layout(await broker._to_send(), "shop")
            assert layout.queues == there
            await broker.close()

    async def test_an_event_that_nobody_takes_is_counted(self, url: str) -> None:
        """Nobody reads it: no error, and an examination says so. A reader whose queues are gone is an error."""
        async with opened(url) as broker:
            await broker.provision([group := Group("shop", "shop", ("Sold",))])
            await broker.publish([Message("Unread", "k", "i", "/s", None, b"{}")] * 3)
            found = {each.subject: each for each in await broker.examine()}
            assert found["rabbitmq.unroutable"].found.startswith("3 messages on Unread reached nobody")
            connection = await Connection.connect(broker._address)
            channel = await connection.channel()
            await channel.ask(
                commands.Exchange.Delete(exchange=f"{broker._address.exchange}.shop"), commands.Exchange.DeleteOk
            )
            with pytest.raises(MessagesRefused, match=r"no queue for Sold \(read by shop\)"):
                await broker.publish([Message("Sold", "k", "i", "/s", None, b"{}")])
            assert await broker.plan([group]) != []
            await connection.close()

    async def test_what_is_no_longer_read_is_held_and_put_aside(self, url: str) -> None:
        """A worker that has ceased to read a topic goes on with what it reads; what it holds of the other comes to a
        worker that reads it, and what it could not hold lies in a queue, and is told of.
        """
        before, after = Group("shop", "shop", ("Sold", "Gone")), Group("shop", "shop", ("Sold",))
        async with opened(url) as broker, opened(url) as other:
            await broker.provision([before])
            gone = [Message("Gone", "k", f"{number}", "/s", None, b"{}") for number in range(MOST_HELD + 6)]
            await broker.publish([*gone, Message("Sold", "k", "sold", "/s", None, b"{}")])
            older, newer, found = other.subscribe(after), broker.subscribe(before), list[str | None]()
            sold = await older.receive(100)
            assert [each.id for each in sold] == ["sold"]
            await older.release(sold)
            queue = aside_of(broker._address.exchange, "shop")
            expected = f"6 messages of topics that shop has ceased to read are in the queue {queue}."
            async with asyncio.timeout(20):
                while expected not in [each.found for each in await broker.examine()]:
                    pass  # each examination asks the server
            while len(found) < MOST_HELD + 1:
                lot = await newer.receive(100)
                await newer.acknowledge(lot)
                found += [each.id for each in lot]
            assert found == [*(message.id for message in gone[6:]), "sold"]

    async def test_a_foreign_message_is_read(self, url: str) -> None:
        """Without anything of ours beside it: its headers of any kind are text, its id is its own, its key is none."""
        async with opened(url) as broker:
            await broker.provision([group := Group("shop", "shop", ("Sold",))])
            connection = await Connection.connect(broker._address)
            channel = await connection.channel()
            table = {"ce-id": "7", "number": 3, "flag": True, "deep": {"a": [1, "b"]}, "raw": bytearray(b"x")}
            properties = commands.Basic.Properties(content_type="text/plain", message_id="m", headers=table)
            publish = commands.Basic.Publish(exchange=broker._address.exchange, routing_key="Sold")
            header = frame.header.ContentHeader(0, 2, properties)
            body = frame.body.ContentBody(b"ab")
            channel.send(b"".join(frame.marshal(each, channel.number) for each in (publish, header, body)))
            [delivery] = await broker.subscribe(group).receive(1)
            assert (delivery.key, delivery.id, delivery.source, delivery.body) == (None, "m", None, b"ab")
            assert dict(delivery.headers) == {
                "ce-id": "7", "number": "3", "flag": "true", "deep": '{"a":[1,"b"]}', "raw": "x",
                "content-type": "text/plain",
            }  # fmt: skip
            await connection.close()


class WithoutPlugin(RabbitMQ):
    """A server as many are, and so short of memory that it takes nothing."""

    def prepare(self, home, say):
        launch = super().prepare(home, say)
        (home.path / "enabled_plugins").write_text("[].\n")
        with (home.path / "rabbitmq.conf").open("a") as file:
            file.write("vm_memory_high_watermark.absolute = 1MB\n")
        return launch


class TestOnAServerInNeed:
    """One without the plugin, whose memory alarm is up."""

    pytestmark = needs_own

    async def test_it_is_said_and_nothing_hangs(self, tmp_path) -> None:
        """Without the plugin several queues are refused and one is possible; publishing ends with the server's words
        while it takes nothing, and the examination has them too.
        """
        services = Services(tmp_path / "servers", servers=[WithoutPlugin()], environment={})
        group = Group("shop", "shop", ("Sold",))
        try:
            url = (await asyncio.to_thread(services.start)).urls["rabbitmq"]
            broker = RabbitBroker.from_url(url)
            await broker.open()
            refused = [change for change in await broker.plan([group]) if change.refused is not None]
            assert "rabbitmq-plugins enable rabbitmq_consistent_hash_exchange" in str(refused[0].refused)
            with pytest.raises(BrokerUnavailable, match="queues=1"):
                await broker.provision([group])
            await broker.close()
            broker = RabbitBroker.from_url(f"{url}?queues=1")
            await broker.open()
            await broker.provision([group])
            for _ in range(2):
                with pytest.raises(BrokerUnavailable, match=r"takes no messages now: low on memory"):
                    await broker.publish([Message("Sold", "k", "i", "/s", None, b"{}")])
            alarms = [each for each in await broker.examine() if each.subject == "rabbitmq.alarm"]
            assert [each.well for each in alarms] == [False]
            await broker.close()
        finally:
            await asyncio.to_thread(services.stop)
