"""The reference work: one order, the event that carries it, and the rows that five services write for it.

Standard library only, so that every program means the same order.
"""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SERVICES = ("orders", "payments", "inventory", "shipping", "notification")
"""Who reacts, in the chain's order."""

TOPICS = ("OrderRequested", "OrderAccepted", "PaymentTaken", "StockReserved", "ParcelSent", "CustomerTold")
"""What travels: `TOPICS[n]` reaches `SERVICES[n]`, which emits `TOPICS[n + 1]`; nobody takes the last."""

INSERT = {name: f"INSERT INTO {name}_state VALUES (?, ?, ?, ?, ?, ?)" for name in SERVICES}
"""What each service does to its own state, as a user would write it."""

FILE = "chain.db"


class Order(NamedTuple):
    """The payload: six fields, about 200 bytes of JSON, and the columns of a state row."""

    order_id: str
    customer_id: str
    sku: str
    quantity: int
    total_pence: int
    address: str


class LogRow(NamedTuple):
    """A row of minuet's event log without its `seq`. The body is a structured CloudEvent, about 450 bytes."""

    topic: str
    key: str
    id: str
    source: str
    headers: None
    body: str


def order(number: int) -> Order:
    """The order of this number; equal numbers give equal orders."""
    return Order(
        order_id=f"order-{number:08}",
        customer_id=f"customer-{number % 9973:05}",
        sku=f"sku-{number % 3989:05}",
        quantity=1 + number % 12,
        total_pence=250 + number * 37 % 99_750,
        address=f"{1 + number % 180} Long Acre Terrace, Wellington Square, Nottingham NG1 5AA, England",
    )


def log_rows(number: int) -> list[LogRow]:
    """The six events of one order's way through the chain.

    Ids are of minuet's form: a derived one has its cause's first 48 bits, and is otherwise a hash.
    """
    paid_for = order(number)
    data = json.dumps(paid_for._asdict(), separators=(",", ":"))
    ids = [_id(number, step) for step in range(len(TOPICS))]
    rows: list[LogRow] = []
    for step, topic in enumerate(TOPICS):
        source = f"/{SERVICES[max(0, step - 1)]}"
        caused = f'"causationid":"{ids[step - 1]}",' if step else ""
        body = (
            f'{{"specversion":"1.0","id":"{ids[step]}","source":"{source}","type":"{topic}.v1",'
            f'"time":"2026-01-05T09:30:00.000000Z","correlationid":"{ids[0]}",{caused}"data":{data}}}'
        )
        rows.append(LogRow(topic, paid_for.order_id, ids[step], source, None, body))
    return rows


def _id(number: int, step: int) -> str:
    start = f"{1_767_600_000_000 + number // 10:012x}"
    digest = hashlib.blake2b(f"{number}:{step}".encode(), digest_size=10).hexdigest()
    kind = "8" if step else "7"
    return f"{start[:8]}-{start[8:]}-{kind}{digest[:3]}-a{digest[3:6]}-{digest[6:18]}"


def connect(file: Path) -> sqlite3.Connection:
    """Open a file as minuet opens its own: write-ahead log, every commit synchronous."""
    connection = sqlite3.connect(file, isolation_level=None, cached_statements=512)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "wal_autocheckpoint=4000",
        "cache_size=-65536",
        "secure_delete=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def create(file: Path, *schemas: str) -> None:
    """Create a file with these schemas, each a .sql file beside this one."""
    connection = connect(file)
    for schema in schemas:
        connection.executescript((Path(__file__).parent / f"{schema}.sql").read_text())
    connection.close()


def check_state(file: Path, workflows: int, services: Sequence[str] = SERVICES) -> None:
    """A speed counts only if the work was done: every service holds exactly one row an order."""
    connection = sqlite3.connect(file)
    for name in services:
        [(rows, orders)] = connection.execute(f"SELECT count(*), count(DISTINCT order_id) FROM {name}_state").fetchall()
        if (rows, orders) != (workflows, workflows):
            raise SystemExit(f"{name} holds {rows} rows of {orders} orders where {workflows} were fed.")
    connection.close()
