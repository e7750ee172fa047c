"""Which ports the servers listen on.

They lie below the range from which systems take the ports of outgoing connections: otherwise a client could be
given, as its own end, the port of a server that is down for a moment, and the server could not come back.
"""

import socket
from collections.abc import Callable, Collection, Iterator
from hashlib import blake2b
from pathlib import Path

LOOPBACK = "127.0.0.1"
FIRST, END = 21_000, 32_000


class NoPortFree(OSError):
    """Every port of the range is taken."""


def choose(count: int, seed: Path, taken: Collection[int], is_free: Callable[[int], bool]) -> list[int]:
    """The first `count` free ports of the range that are not in `taken`, looked for from a place that `seed` decides.

    The seed is the directory of the servers, so that each clone of the repository finds its own ports, and the same
    ones again. Raises NoPortFree when the range is exhausted.
    """
    ports: list[int] = []
    for port in _candidates(seed):
        if len(ports) == count:
            break
        if port not in taken and is_free(port):
            ports.append(port)
    if len(ports) < count:
        raise NoPortFree(f"No {count} ports are free between {FIRST} and {END}.")
    return ports


def _candidates(seed: Path) -> Iterator[int]:
    begin = int.from_bytes(blake2b(bytes(seed), digest_size=4).digest()) % (END - FIRST)
    return (FIRST + (begin + step) % (END - FIRST) for step in range(END - FIRST))


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
