"""What PostgreSQL refuses of a flight of prepared statements leaves the connection good for all that follows."""

import asyncio

from minuet.databases.postgres import PostgresDatabase
from minuet.databases.postgres.pipelining import Line
from minuet.databases.postgres.place import PostgresPlace
from tests.contract.servers import needs, own_database

pytestmark = needs("postgres")

ROUNDS = 3


def test_what_is_prepared_anew_has_a_name_that_nothing_has() -> None:
    """A column is added: what was prepared is refused, with all of its flight, and whatever follows is performed."""

    async def play(url: str) -> None:
        line = Line(await PostgresDatabase(PostgresPlace.from_url(url)).connect())
        try:
            await line.send("CREATE TABLE asked (who TEXT)")
            known = ["SELECT * FROM asked", *(f"SELECT {number}" for number in range(4))]
            for further in range(ROUNDS):
                for sql in known:
                    await line.send(sql)
                await line.send(f"ALTER TABLE asked ADD COLUMN further_{further} TEXT")
                refused = await asyncio.gather(*map(line.send, known), return_exceptions=True)
                assert all(isinstance(error, Exception) for error in refused)
                for sql in [*known, *(f"SELECT {further}, {number}" for number in range(4))]:
                    await line.send(sql)
        finally:
            line.abandon()

    with own_database() as url:
        asyncio.run(play(url))
