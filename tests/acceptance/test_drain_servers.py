"""`minuet run --drain` on brokers elsewhere: it works off what is there, whatever of it is where, and then stops."""

import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from minuet.brokers.kafka.place import KafkaPlace
from minuet.brokers.kafka.removal import remove
from minuet.ports.broker import Group
from tests.acceptance.command import MINUET, minuet, python
from tests.contract.rabbitmq_places import forget
from tests.contract.servers import needs, url_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SERVERS = [pytest.param(name, marks=needs(name), id=name) for name in ("rabbitmq", "kafka")]
ORDERS = 400
SHOP = '''
import asyncio
import os
from pathlib import Path

from minuet import App, Event, Service


class Placed(Event, key="order_id"):
    """An order came."""

    order_id: str


class Paid(Event, key="order_id"):
    """It is paid."""

    order_id: str


orders = Service("orders", owns=[Placed])
payments = Service("payments", owns=[Paid])


@payments.reaction
async def pay(order: Placed) -> Paid:
    if order.order_id == "slow":
        print("begun", flush=True)
        await asyncio.to_thread(Path("gate").read_text)
    return Paid(order_id=order.order_id)


@orders.reaction
async def confirm(paid: Paid) -> None:
    print("paid", paid.order_id)


app = App([orders, payments], broker="{broker}", store="sqlite:///shop.db")


async def place(*names):
    async with app.connected():
        await asyncio.gather(*(orders.emit(Placed(order_id=name)) for name in names))
'''


class Shop:
    """Two services in a folder, whose broker is a server."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        (folder / "shop.py").write_text(SHOP.replace("{broker}", broker))
        os.mkfifo(folder / "gate")
        self.drain("--provision")

    def place(self, *names: str) -> None:
        """In a process of its own; when it has ended, the broker has them."""
        python(f"import asyncio, shop; asyncio.run(shop.place(*{names!r}))", cwd=self.folder)

    def drain(self, *more: str) -> list[str]:
        """What was paid by a drain, which ended well."""
        return paid(minuet("run", "shop:app", "--drain", *more, cwd=self.folder).stdout)

    def standing(self) -> str:
        """What doctor says of the broker's place for payments."""
        report = json.loads(minuet("doctor", "shop:app", "--json", cwd=self.folder, status=None).stdout)
        told = [one["found"] for one in report["findings"]]
        [found] = [one for one in told if one.startswith("payments ") and "messages" in one]
        return found


def paid(stdout: str) -> list[str]:
    """In no order: nothing but a key is ordered."""
    return sorted(line.removeprefix("paid ") for line in stdout.splitlines() if line.startswith("paid "))


@pytest.fixture(params=SERVERS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A place of its own on the server, and nothing left there."""
    server, place = str(request.param), f"t{uuid.uuid4().hex[:8]}"
    if server == "kafka":
        url = f"{url_of('kafka')}/?prefix={place}.&partitions=3"
        yield Shop(tmp_path, url)
        remove(KafkaPlace.from_url(url))
    else:
        url = f"{url_of('rabbitmq')}?exchange={place}"
        yield Shop(tmp_path, url)
        groups = Group("orders", "orders", ("Paid.v1", "Paid")), Group("payments", "payments", ("Placed.v1", "Placed"))
        asyncio.run(forget(url, *groups))


def test_a_drain_on_a_server_handles_all_that_is_there(shop: Shop) -> None:
    """Many events, and all that follows from them, are handled by the one drain; the next one finds nothing to do."""
    names = sorted(str(number) for number in range(ORDERS))
    shop.place(*names)
    assert shop.drain() == names
    assert shop.drain() == []


def test_a_drain_on_a_server_does_not_end_while_anything_is_under_way(shop: Shop) -> None:
    """It has taken all there is, and one reaction takes long: what comes meanwhile, and what follows from the slow one,
    is handled too.
    """
    shop.place("slow")
    command = [MINUET, "run", "shop:app", "--drain"]
    with subprocess.Popen(command, cwd=shop.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as drain:
        assert drain.stdout is not None
        said = next(line for line in drain.stdout if line == "begun\n")
        shop.place("late")
        assert drain.poll() is None
        (shop.folder / "gate").write_text("open")
        stdout, stderr = drain.communicate()
    assert drain.returncode == 0, f"{said}{stdout}{stderr}"
    assert paid(stdout) == ["late", "slow"]
    assert shop.drain() == []


def test_doctor_says_how_far_behind_a_service_is(shop: Shop) -> None:
    """What waits for it before a drain, and that nothing does after it."""
    shop.place("one", "two")
    assert " 2 messages" in shop.standing()
    shop.drain()
    assert " 0 messages" in shop.standing()
