"""A transaction that somebody leaves open holds the log back: it is told who that is, and nothing is passed over."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from minuet import App, Event, Service, Transaction
from minuet.errors import StandsStill
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.own_servers import own_server
from tests.acceptance.postgres_pairs import POSTGRES, PostgresPair, postgres_pair
from tests.contract.servers import needs

pytestmark = [*needs("postgres"), pytest.mark.slow]


class Asked(Event, key="who"):
    """Somebody asked."""

    who: str


def asking() -> Service:
    service = Service("asking", owns=[Asked])

    @service.setup
    async def table(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS asked (who TEXT)")

    @service.reaction
    async def note(asked: Asked, tx: Transaction) -> None:
        await tx.execute("INSERT INTO asked VALUES (?)", (asked.who,))

    return service


@pytest.fixture
def where() -> Iterator[PostgresPair]:
    """A database on a server where nobody else has transactions."""
    with own_server() as server:
        yield postgres_pair(POSTGRES, server.urls()["postgres"])


async def test_a_transaction_left_open_is_named_and_passes_nothing_over(where: PostgresPair) -> None:
    """Observers and doctor are told its process, program and age; what was published meanwhile is handled when it ends,
    and each event once.
    """
    service, signals = asking(), Signals({Point.COMMITTED})
    async with (
        App([service], **where.urls(), observers=[signals]).running() as app,
        await psycopg.AsyncConnection.connect(f"{where.store}?application_name=forgotten") as forgotten,
    ):
        await forgotten.execute("INSERT INTO asked VALUES ('forgotten')")
        pid = forgotten.info.backend_pid
        await service.emit(Asked(who="meanwhile"))
        [(place, error), *_] = await signals.troubled(within="30s")
        assert place == "reading the log"
        assert isinstance(error, StandsStill)
        for word in ("forgotten", f"process {pid}", "seconds"):
            assert word in str(error)
        broker, _ = where.adapters()
        await broker.open()
        [horizon] = [each for each in await broker.examine() if each.subject == "postgres.horizon"]
        await broker.close()
        assert horizon.well is False
        assert str(pid) in horizon.found
        assert signals.passed(Point.COMMITTED) == []
        await forgotten.commit()
        await signals.reached(Point.COMMITTED, count=1)
        async with asyncio.timeout(30):
            await app.settled()
    assert sorted(where.look("SELECT who FROM asked")) == [("forgotten",), ("meanwhile",)]
