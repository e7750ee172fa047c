"""`minuet run --drain`: work off what is there, then stop."""

import subprocess
import sys
from pathlib import Path

SHOP = '''
from minuet import App, Event, Service


class Placed(Event):
    """An order came."""

    order_id: str


class Paid(Event):
    """It is paid."""

    order_id: str


orders = Service("orders", owns=[Placed])
payments = Service("payments", owns=[Paid])


@payments.reaction
async def pay(order: Placed) -> Paid:
    return Paid(order_id=order.order_id)


@orders.reaction
async def confirm(paid: Paid) -> None:
    print("paid", paid.order_id)


app = App([orders, payments], broker="sqlite:///shop.db")
'''
PLACE = """
import asyncio

from shop import Placed, app, orders


async def main():
    async with app.connected():
        for number in range(3):
            await orders.emit(Placed(order_id=str(number)))


asyncio.run(main())
"""


def test_a_drain_ends_by_itself_once_everything_is_handled(tmp_path: Path) -> None:
    """What was emitted before, and all that follows from it, is done when the command ends."""
    (tmp_path / "shop.py").write_text(SHOP)
    subprocess.run([sys.executable, "-c", PLACE], cwd=tmp_path, check=True)
    drained = drain(tmp_path)
    assert drained.returncode == 0, drained.stderr
    assert [line for line in drained.stdout.splitlines() if line.startswith("paid")] == ["paid 0", "paid 1", "paid 2"]
    assert "paid" not in drain(tmp_path).stdout


def test_a_drain_is_one_processs(tmp_path: Path) -> None:
    """Workers are kept alive, and a drain ends: both at once is refused."""
    (tmp_path / "shop.py").write_text(SHOP)
    refused = drain(tmp_path, "--workers", "2")
    assert refused.returncode == 2
    assert "One process drains" in refused.stderr


def drain(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this folder."""
    command = [sys.executable, "-m", "minuet.cli.main", "run", "shop:app", "--drain", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
