"""Setting a message aside, while the server answers late."""

import asyncio
import contextlib
from typing import Any

from pamqp import commands, frame

from minuet.brokers.rabbitmq.address import Address
from minuet.brokers.rabbitmq.aside import Strange, set_aside
from minuet.brokers.rabbitmq.connection import Connection
from minuet.errors import BrokerUnavailable

ANSWERS = {
    "Channel.Open": commands.Channel.OpenOk(),
    "Queue.Declare": commands.Queue.DeclareOk("aside", 0, 0),
    "Confirm.Select": commands.Confirm.SelectOk(),
    "Channel.Close": commands.Channel.CloseOk(),
}
STRANGE = Strange("Gone", 1, bytes(12) + bytes(2), b"{}", 0.0)


class SlowToConfirm(asyncio.Transport):
    """A server that answers at once, and confirms what was published only when the channel is being closed."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self.published = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        rest = bytes(data)
        while rest:
            size, number, method = frame.unmarshal(rest)
            rest = rest[size:]
            if method.name == "Channel.Close":
                self._say(number, commands.Basic.Ack(1))
            if method.name in ANSWERS:
                self._say(number, ANSWERS[method.name])
            if method.name == "ContentBody":
                self.published.set()

    def _say(self, channel: int, method: frame.FrameTypes) -> None:
        asyncio.get_running_loop().call_soon(self._connection.data_received, frame.marshal(method, channel))

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        """Nothing is open."""


def test_a_confirmation_after_who_waited_has_left_ends_nothing() -> None:
    """A worker that stops does not wait for what it was setting aside: the connection, which others use, goes on when
    that is confirmed in the end.
    """

    async def leave() -> tuple[BrokerUnavailable | None, list[dict[str, Any]]]:
        unheard: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        connection = Connection(Address.from_url("rabbitmq://localhost"))
        connection._greeting, connection._most_channels = None, 10
        server = SlowToConfirm(connection)
        connection.connection_made(server)
        setting = asyncio.create_task(set_aside(connection, "aside", STRANGE))
        async with asyncio.timeout(10):
            await server.published.wait()
            setting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await setting
        return connection.lost, unheard

    assert asyncio.run(leave()) == (None, [])
