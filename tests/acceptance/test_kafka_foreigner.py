"""A service whose events somebody else writes to Kafka in transactions: what is committed is handled once, a drain
ends, and nothing is left.
"""

import asyncio
import subprocess
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from minuet.brokers.kafka import KafkaBroker
from minuet.brokers.kafka.names import kafka_name
from minuet.brokers.kafka.place import KafkaPlace
from minuet.brokers.kafka.removal import remove
from minuet.ports.broker import Group
from tests.acceptance.command import MINUET, minuet
from tests.acceptance.kafka_foreigner import Foreigner, event
from tests.acceptance.pairs import look
from tests.contract.servers import needs, url_of

pytestmark = [*needs("kafka"), pytest.mark.slow, pytest.mark.timeout(120)]

ORDERS = [str(number) for number in range(300)]
CAUGHT_UP = "payments is 0 messages behind."
SHOP = '''
import asyncio
from pathlib import Path

from minuet import App, Event, Service, Transaction


class Placed(Event, key="order_id"):
    """An order came."""

    order_id: str


orders = Service("orders", owns=[Placed])
payments = Service("payments")


@payments.setup
async def tables(tx: Transaction) -> None:
    await tx.execute("CREATE TABLE IF NOT EXISTS charges (order_id TEXT)")


@payments.reaction
async def pay(order: Placed, tx: Transaction) -> None:
    await tx.execute("INSERT INTO charges VALUES (?)", (order.order_id,))


@payments.reaction
async def pack(order: Placed) -> None:
    if order.order_id == "slow" and not Path("opened").exists():
        print("begun", flush=True)
        await asyncio.Event().wait()


app = App([orders, payments], broker="{broker}", store="sqlite:///shop.db")
'''


class Shop:
    """A service in a folder, and who writes what it reacts to."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self._broker = broker
        (folder / "shop.py").write_text(SHOP.replace("{broker}", broker))
        self.drain("--provision")
        place = KafkaPlace.from_url(broker)
        self._topic = kafka_name("Placed", place.prefix)
        self._foreigner = Foreigner(place)

    def commit(self, *names: str) -> None:
        """A transaction of orders."""
        self._foreigner.commit(self._topic, placed(names))

    def abort(self, *names: str) -> None:
        """The same, given up."""
        self._foreigner.abort(self._topic, placed(names))

    def drain(self, *more: str) -> None:
        """Work off what there is."""
        minuet("run", "shop:app", "--drain", *more, cwd=self.folder)

    def charged(self) -> list[str]:
        """Whose orders were charged, one for each time."""
        return sorted(str(name) for (name,) in look(self.folder / "shop.db", "SELECT order_id FROM charges"))

    def behind(self) -> str:
        """What a doctor is told of how far behind the service is."""
        return asyncio.run(examined(self._broker))


async def examined(url: str) -> str:
    broker = KafkaBroker.from_url(url)
    await broker.open()
    try:
        await broker.plan([Group("payments", "payments", ("Placed",))])
        [found] = [each.found for each in await broker.examine() if each.subject == "kafka.group.payments"]
        return found
    finally:
        await broker.close()


def placed(names: Iterable[str]) -> list[tuple[str, bytes]]:
    return [event("Placed.v1", name, order_id=name) for name in names]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A place of its own on the server, and nothing left there."""
    url = f"{url_of('kafka')}/?prefix=t{uuid.uuid4().hex[:8]}.&partitions=3"
    yield Shop(tmp_path, url)
    remove(KafkaPlace.from_url(url))


def test_a_drain_ends_where_others_commit_and_abort(shop: Shop) -> None:
    """All that was committed is handled, nothing that was aborted, and a doctor is told of none of the marks."""
    shop.commit(*ORDERS[:200])
    shop.abort("never", "ever")
    shop.commit(*ORDERS[200:])
    shop.abort("neither", "nor")
    shop.drain()
    assert shop.charged() == sorted(ORDERS)
    assert shop.behind() == CAUGHT_UP
    shop.abort("no more")
    shop.drain()
    assert shop.charged() == sorted(ORDERS)
    assert shop.behind() == CAUGHT_UP


def test_a_process_that_is_killed_among_marks_loses_nothing(shop: Shop) -> None:
    """It is killed (SIGKILL) with a delivery in its hands and marks around it, at the end of all that it fetched: the
    next one has that delivery, each order is charged once, and the drain ends.
    """
    shop.commit(*ORDERS, "slow")
    shop.abort("never")
    command = [MINUET, "run", "shop:app"]
    with subprocess.Popen(command, cwd=shop.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            assert "begun\n" in iter(run.stdout.readline, "")
            shop.commit("late")
            shop.abort("ever")
        finally:
            run.kill()
    assert shop.behind() != CAUGHT_UP
    (shop.folder / "opened").touch()
    shop.drain()
    assert shop.charged() == sorted([*ORDERS, "slow", "late"])
    assert shop.behind() == CAUGHT_UP
