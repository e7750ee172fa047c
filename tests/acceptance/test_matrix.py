"""Order fulfilment on every pair of broker and store: services and servers are killed, and the books balance."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.servers import needs
from tools.matrix.pairs import PAIRS, Pair
from tools.matrix.run import Size, run
from tools.services.fleet import Services

SHORT = Size(orders=500, kills=5, server_kills=1)
"""`make matrix` runs the whole."""


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that the servers' own users may enter; gone at the end."""
    found = Path(tempfile.mkdtemp(prefix="minuet-matrix-"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found)


def on(pair: Pair):
    """The pair as a parameter, with the marks of its servers."""
    return pytest.param(pair, id=pair.name, marks=[mark for server in pair.servers for mark in needs(server)])


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("pair", [on(pair) for pair in PAIRS])
def test_nothing_is_lost_or_doubled_whatever_is_killed(pair, directory) -> None:
    """Five processes are killed, and each server once: every order has its effects, once, and the books balance."""
    seed = secrets.randbelow(1_000_000)
    services = Services(directory / "servers", environment={})
    try:
        problems = services.start(pair.servers).problems if pair.servers else []
        assert problems == []
        outcome = run(pair, SHORT, services, directory, seed, print)
    finally:
        services.stop()
    assert outcome.holds, f"seed {seed}: {outcome}"
    assert outcome.said["orders"] == SHORT.orders
    assert outcome.said["kills"] == SHORT.kills
    assert outcome.server_kills == len(pair.servers), f"seed {seed}: {outcome}"
