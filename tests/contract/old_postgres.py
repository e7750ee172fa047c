"""A server that says it is PostgreSQL of some version, and something that listens and is no PostgreSQL at all."""

import asyncio
import struct

from tests.contract.listening import Answer

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


def version(number: str) -> Answer:
    """A server that lets everybody in and has this version; it answers no query."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            if code not in (SSL_REQUEST, GSS_REQUEST):
                break
            writer.write(b"N")
        parameters = {"server_version": number, "client_encoding": "UTF8", "standard_conforming_strings": "on"}
        writer.write(message(b"R", struct.pack("!i", 0)))
        for name, value in parameters.items():
            writer.write(message(b"S", f"{name}\0{value}\0".encode()))
        writer.write(message(b"K", struct.pack("!ii", 1, 1)) + message(b"Z", b"I"))
        await reader.read()

    return answer


def message(kind: bytes, body: bytes) -> bytes:
    """A message of the protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html."""
    return kind + struct.pack("!i", len(body) + 4) + body


async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a web server says to PostgreSQL's first words."""
    await reader.read(8)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes what it is told and never answers."""
    await reader.read(-1)
