"""Inbox, state and outbox by hand, in batches: what a careful engineer writes around a raw client.

One transaction for a batch: what was seen before is left out, the rest has its state row and owes its next event, and
what the batch before owed, which is published by now, is forgotten. Each a statement over arrays, on asyncpg, the
fastest driver. Runs in the peers' environment.
"""

import importlib
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from benchmarks.programs import in_postgres
from benchmarks.programs.order import SERVICES, TOPICS, Order

INTO_INBOX = "INSERT INTO inbox SELECT $1::text, unnest($2::text[]) ON CONFLICT DO NOTHING RETURNING event_id"
INTO_STATE = {
    name: f"INSERT INTO {name}_state SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], "
    "$6::text[])"
    for name in SERVICES
}
INTO_OUTBOX = """
INSERT INTO outbox (topic, key, body)
SELECT $1::text, m.key, m.body FROM unnest($2::text[], $3::text[]) AS m (key, body) RETURNING id
"""
PAID = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Placed(msgspec.Struct, frozen=True):
    """What each of the six events carries, validated as it is decoded."""

    order_id: Name
    customer_id: Name
    sku: Name
    quantity: Annotated[int, msgspec.Meta(ge=1)]
    total_pence: Annotated[int, msgspec.Meta(ge=0)]
    address: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


decoder = msgspec.json.Decoder(Placed)
encode = msgspec.json.Encoder().encode


def body_of(order: Order) -> bytes:
    """The order as it travels."""
    return encode(Placed(**order._asdict()))


class Boxes:
    """One service's tables, on a connection of its own. Without `database` nothing is kept, and only events go on."""

    def __init__(self, step: int, *, database: bool = True) -> None:
        self.service = SERVICES[step]
        self.emits = TOPICS[step + 1]
        self._database = database
        self._connection: Any = None
        self._owed: list[int] = []

    async def open(self) -> None:
        """Connect."""
        if self._database:
            asyncpg: Any = importlib.import_module("asyncpg")
            self._connection = await asyncpg.connect(in_postgres.url())

    async def handle(self, bodies: Sequence[bytes]) -> list[tuple[str, bytes]]:
        """React to a batch, and commit; the events that it emits, each by its key, to be published now."""
        batch = [decoder.decode(body) for body in bodies]
        if not self._database:
            return [(placed.order_id, encode(placed)) for placed in batch]
        ids = [placed.order_id for placed in batch]
        connection = self._connection
        async with connection.transaction():
            fresh = await connection.fetch(INTO_INBOX, self.service, ids)
            if len(fresh) < len(batch):
                new = {event_id for (event_id,) in fresh}
                batch = [placed for placed in batch if placed.order_id in new]
            rows = [msgspec.structs.astuple(placed) for placed in batch]
            emitted = [(placed.order_id, encode(placed)) for placed in batch]
            keys, texts = [key for key, _ in emitted], [body.decode() for _, body in emitted]
            if rows:
                await connection.execute(INTO_STATE[self.service], *map(list, zip(*rows, strict=True)))
            owed = await connection.fetch(INTO_OUTBOX, self.emits, keys, texts)
            if self._owed:
                await connection.execute(PAID, self._owed)
        self._owed = [number for (number,) in owed]
        return emitted

    async def close(self) -> None:
        """Forget what the last batch owed, which was published."""
        if self._connection is not None:
            await self._connection.execute(PAID, self._owed)
            await self._connection.close()
