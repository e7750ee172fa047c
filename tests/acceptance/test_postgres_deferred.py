"""A constraint that PostgreSQL checks at the commit refuses everything in it, and costs only whoever broke it."""

import asyncio
from collections.abc import Iterator

import pytest

from minuet import NEVER, App, Event, Service, Transaction, Writes
from minuet.ports.observer import Point
from minuet.testing.signals import Signals
from tests.acceptance.postgres_pairs import POSTGRES, POSTGRES_SEPARATE, PostgresPair, postgres_pair
from tests.contract.servers import needs

pytestmark = [*needs("postgres"), pytest.mark.slow]

COUNT = 30
WRONG = {7, 8, 21}
INSERT = "INSERT INTO lines (number, parent) VALUES (?, ?)"


class Written(Event, key="number"):
    """A line is to be written."""

    number: int


class Kept(Event, key="number"):
    """The line is there."""

    number: int


CHECKS = {
    "foreign key": ["ALTER TABLE lines ADD FOREIGN KEY (parent) REFERENCES lines DEFERRABLE INITIALLY DEFERRED"],
    "no such parent": [
        (
            "CREATE FUNCTION find_parent() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
            "IF NEW.parent < 0 THEN RAISE EXCEPTION ''no such parent''; END IF; RETURN NULL; END'"
        ),
        (
            "CREATE CONSTRAINT TRIGGER finding AFTER INSERT ON lines DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION find_parent()"
        ),
    ],
}
"""What is checked at the commit, by what it then says: by the server, and by a trigger of the user's own."""


def scribe(check: str, *, transactional: bool) -> Service:
    """Writes lines that point to themselves, and some that point nowhere, which is noticed at the commit."""
    service = Service("scribe", owns=[Written, Kept])

    @service.setup
    async def tables(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE lines (number INTEGER PRIMARY KEY, parent INTEGER)")
        for sql in CHECKS[check]:
            await tx.execute(sql)

    if transactional:

        @service.reaction(retry=NEVER)
        async def write(written: Written, tx: Transaction) -> Kept:
            await tx.execute(INSERT, (written.number, -1 if written.number in WRONG else written.number))
            return Kept(number=written.number)

    else:

        @service.reaction(retry=NEVER)
        async def write(written: Written, writes: Writes) -> Kept:
            writes.execute(INSERT, (written.number, -1 if written.number in WRONG else written.number))
            return Kept(number=written.number)

    return service


@pytest.fixture(params=[POSTGRES, POSTGRES_SEPARATE])
def where(request: pytest.FixtureRequest) -> Iterator[PostgresPair]:
    pair = postgres_pair(request.param)
    yield pair
    pair.dropped()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("transactional", [True, False], ids=["transactional", "concurrent"])
async def test_a_commit_that_is_refused_costs_only_whoever_broke_it(
    where: PostgresPair, check: str, *, transactional: bool
) -> None:
    """The others of its round are handled once and emit once; each culprit is one dead letter that says why."""
    service, signals = scribe(check, transactional=transactional), Signals({Point.COMMITTED})
    async with App([service], observers=[signals], **where.urls()).running():
        await asyncio.gather(*[service.emit(Written(number=number)) for number in range(COUNT)])
        await signals.reached(Point.COMMITTED, count=COUNT, within="30s")
    right = sorted(set(range(COUNT)) - WRONG)
    assert where.look("SELECT number FROM lines ORDER BY number") == [(number,) for number in right]
    assert sorted(where.logged("Kept")) == sorted((str(number),) for number in right)
    letters = where.look("SELECT key, error FROM minuet_dead_letters ORDER BY key::int")
    assert [str(key) for key, _ in letters] == [str(number) for number in sorted(WRONG)]
    assert all(check in str(error) for _, error in letters)
