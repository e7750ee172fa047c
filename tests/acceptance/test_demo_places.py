"""`minuet demo order` on servers: a place of its own, kept or removed, and never mixed with an earlier run's."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from minuet.demo.places import refuse_used, remove
from minuet.demo.plan import DemoFailed
from minuet.examples.order_fulfilment.app import app
from tests.contract.servers import needs, url_of

pytestmark = pytest.mark.slow
OPTION = {"postgres": "schema", "kafka": "prefix", "rabbitmq": "exchange"}
BROKERS = [pytest.param(name, marks=[*needs(name), *needs("postgres")]) for name in OPTION]
ORDERS = ("demo", "order", "--generate", 20, "--seed", 3)


def minuet(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "minuet.cli.main", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(params=BROKERS)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, str]]:
    """A server's name, and a broker on it and a PostgreSQL store as URLs that name a place where nobody has been."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    broker, store = (f"{url_of(server)}?{OPTION[server]}={name}" for server in (request.param, "postgres"))
    yield request.param, broker, store
    asyncio.run(remove(app, broker, store))


def test_a_place_that_is_named_is_kept_read_and_not_used_again(place, tmp_path) -> None:
    """The verbs read what a run left with the URLs that it was given; a second run is refused, until it is removed."""
    server, broker, store = place
    where = ("--broker", broker, "--store", store)
    found = json.loads(minuet(*ORDERS, "--kills", 2, *where, "--dir", tmp_path / "run", "--json").stdout)
    assert (found["orders"], found["kills"], found["balanced"]) == (20, 2, True)

    again = json.loads(minuet("demo", "audit", tmp_path / "run", "--json").stdout)
    assert {**again, "seconds": 0} == {**found, "seconds": 0}
    letters = json.loads(minuet("dlq", "list", "--store", store, "--json").stdout)
    assert letters["count"] == found["dead_letters"]
    if server == "postgres":
        assert "orders.read_invoice" in minuet("trace", "100000", *where).stdout
    else:  # a broker that cannot be read back says so
        assert "read back" in " ".join(minuet("trace", "100000", *where, status=1).stderr.split())

    refused = minuet(*ORDERS, *where, "--dir", tmp_path / "second", status=2)
    assert "holds the state of an earlier run" in refused.stderr
    if server != "postgres":  # the broker alone is enough to be refused
        asyncio.run(remove(app, store))
        with pytest.raises(DemoFailed, match=r"The broker .* holds the state of an earlier run"):
            asyncio.run(refuse_used(app, broker, store))
    asyncio.run(remove(app, broker, store))
    asyncio.run(refuse_used(app, broker, store))


def test_a_run_without_a_directory_leaves_nothing(place, tmp_path, monkeypatch) -> None:
    """A place that the run made for itself is gone with it, its directory too, and nobody is sent there."""
    _, broker, store = place
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = minuet(*ORDERS, "--broker", broker.partition("?")[0], "--store", store.partition("?")[0])
    assert "The books balance" in done.stdout
    assert "Everything is in" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["memory://", "postgres://nobody:secret@127.0.0.1:1/none", "nats://host"])
def test_a_place_that_is_no_use_is_refused_in_prose(url, tmp_path) -> None:
    """What processes cannot share, what does not answer and what nobody knows stops the demo before it starts."""
    done = minuet("demo", "order", "--store", url, "--dir", tmp_path / "run", status=2)
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
    assert not (tmp_path / "run").exists()
