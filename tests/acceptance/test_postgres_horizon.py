"""A transaction that somebody leaves open holds the log back: it is told who that is, and nothing is passed over. One
that is open in another database holds nobody.
"""

import asyncio
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from minuet import App, Event, Service, Transaction
from minuet.errors import StandsStill
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.postgres_pairs import POSTGRES, POSTGRES_SEPARATE, PostgresPair, beside, command, postgres_pair
from tests.contract.servers import needs, url_of

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
    """A database of the test's own."""
    made = postgres_pair(POSTGRES)
    yield made
    made.dropped()


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


@pytest.fixture(params=[POSTGRES, POSTGRES_SEPARATE])
def plain(request: pytest.FixtureRequest) -> Iterator[PostgresPair]:
    """Databases of a user who sees nothing of others' sessions but that they are there."""
    made, user = postgres_pair(request.param), f"plain_{uuid.uuid4().hex[:12]}"
    command(made.store, f"CREATE ROLE {user} LOGIN PASSWORD 'pw'")
    for url in set(made):
        command(url, f"GRANT ALL ON SCHEMA public TO {user}")
    yield PostgresPair(*(as_user(url, user) for url in made))
    made.dropped()
    command(beside(made.store), f"DROP ROLE {user}")


def as_user(url: str, user: str) -> str:
    """The same database, for this user."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:pw@{parts.hostname}:{parts.port}").geturl()


async def test_a_transaction_of_another_database_holds_nobody(plain: PostgresPair) -> None:
    """A job next door has written and is not done: what is published here is handled meanwhile."""
    service, signals = asking(), Signals({Point.COMMITTED})
    async with (
        await psycopg.AsyncConnection.connect(beside(url_of("postgres") or "")) as neighbour,
        App([service], **plain.urls(), observers=[signals]).running() as app,
    ):
        await neighbour.execute("SELECT pg_current_xact_id()")
        for who in ("first", "second"):
            await service.emit(Asked(who=who))
            async with asyncio.timeout(30):
                await app.settled()
    assert plain.look("SELECT who FROM asked ORDER BY who") == [("first",), ("second",)]
