"""Servers of a test's own on a port of this machine, of which nothing is left when they end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(answer: Answer, port: int = 0) -> AsyncIterator[int]:
    """Answer everybody who connects; the port. At the end conversations are ended, and waited for until they are."""
    talking: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            await hang_up(writer)

    def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talking.add(task)
        task.add_done_callback(talking.discard)

    server = await asyncio.start_server(came, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0)  # who was let in a moment ago is known then
        for task in list(talking):
            task.cancel()
        await asyncio.gather(*talking)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close, and wait until it is closed."""
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
