"""A NATS server for one run, from the peers' environment."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

START_SECONDS = 30.0


def free_port() -> int:
    """A port of the loopback interface that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def running(directory: Path) -> AsyncGenerator[str]:
    """A server with JetStream on files in this directory, by its URL; it ends with the block."""
    port = free_port()
    program = Path(sys.executable).with_name("nats-server")
    words = ("-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(directory / "nats"))
    log = (directory / "nats.log").open("wb")
    server = await asyncio.create_subprocess_exec(program, *words, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(port):  # noqa: ASYNC110, nothing signals it
                await asyncio.sleep(0.02)
        yield f"nats://127.0.0.1:{port}"
    finally:
        server.terminate()
        await server.wait()
        log.close()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
