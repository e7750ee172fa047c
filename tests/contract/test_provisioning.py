"""`minuet run --provision` and `minuet doctor` on the real servers whose topology is somebody's decision."""

import asyncio
import uuid

import pytest

from minuet.brokers.kafka.place import KafkaPlace
from minuet.brokers.kafka.removal import remove as remove_topics
from minuet.brokers.rabbitmq.address import Address
from minuet.brokers.rabbitmq.removal import remove as remove_exchange
from minuet.config import open_broker
from minuet.errors import BrokerUnavailable, StoreUnavailable
from minuet.ports.broker import Group
from tests.acceptance.command import answer, minuet, running
from tests.acceptance.post_office import post_office
from tests.contract import old_postgres
from tests.contract.listening import listening
from tests.contract.servers import needs, url_of

SERVERS = [pytest.param(name, marks=needs(name)) for name in ("kafka", "rabbitmq")]
GROUP = Group("delivery", "delivery", ("LetterPosted",))
LIMIT_SECONDS = 5.5
"""Five, and the time that a busy machine takes to look at the clock."""


@pytest.fixture
def broker(request):
    """A URL of the server with a place of the test's own in it."""
    server, name = url_of(request.param) or "", f"provisioning{uuid.uuid4().hex[:12]}"
    if request.param == "kafka":
        url = f"{server}?prefix={name}."
        yield url
        remove_topics(KafkaPlace.from_url(url))
    else:
        url = f"{server}?exchange={name}"
        yield url
        asyncio.run(remove_exchange(Address.from_url(url), [GROUP]))


def topology(broker, office, status):
    """What doctor finds of the topology: (well, found) of each thing."""
    words = ["post:app", "--broker", broker, "--store", "sqlite:///own.db"]
    findings = answer("doctor", *words, cwd=office, status=status)["findings"]
    return [(one["well"], one["found"]) for one in findings if one["subject"] == "broker.topology"]


@pytest.mark.parametrize("broker", SERVERS, indirect=True)
def test_what_is_missing_is_shown_refused_made_once_and_then_well(broker, tmp_path):
    """Doctor and a run without leave name the same things and change nothing; a run with leave makes them."""
    office = post_office(tmp_path)
    words = ["run", "post:app", "--broker", broker, "--store", "sqlite:///own.db"]
    missing = topology(broker, office, 1)
    assert missing
    assert not any(well for well, _ in missing)
    refused = minuet(*words, cwd=office, status=1).stderr
    assert [found for _, found in missing if found.rstrip(".") not in refused] == []
    assert "Nothing was changed." in refused
    assert topology(broker, office, 1) == missing
    with running(*words[1:], "--provision", cwd=office) as services:
        changes = services.until("provisioning")["changes"]
        services.until("started")
        services.send(15)
        assert services.end() == 0
    assert [f"{change['what']}: {change['how']}." for change in changes] == [found for _, found in missing]
    assert [well for well, _ in topology(broker, office, 0)] == [True]
    with running(*words[1:], cwd=office) as services:
        services.until("started")
        services.send(15)
        assert services.end() == 0
    assert "provisioning" not in [line["event"] for line in services.lines]


@pytest.mark.parametrize("scheme", SERVERS)
@pytest.mark.parametrize("listens", [old_postgres.web_server, old_postgres.nobody], ids=["another", "silent"])
def test_something_else_that_listens_is_told_in_time(scheme, listens):
    """What answers in another language, or never, is not waited for longer than five seconds."""

    async def tried():
        async with listening(listens) as port:
            broker = open_broker(f"{scheme}://shop:secret@127.0.0.1:{port}")
            with pytest.raises((BrokerUnavailable, StoreUnavailable)) as refused:
                async with asyncio.timeout(LIMIT_SECONDS):
                    await broker.open()
            return f"{refused.value} {refused.value!r} {broker!r}"

    said = asyncio.run(tried())
    assert "secret" not in said
