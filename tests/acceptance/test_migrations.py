"""A schema is the sum of its migrations, on SQLite and PostgreSQL; too new and too old are refused in prose."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from minuet.databases.migrations import Step, steps_of
from minuet.databases.postgres import PostgresDatabase
from minuet.databases.postgres.place import PostgresPlace
from minuet.databases.sqlite import Database
from minuet.errors import StoreUnavailable
from tests.acceptance import pairs, postgres_pairs
from tests.contract.servers import needs, url_of

pytestmark = pytest.mark.slow

FIRST = "CREATE TABLE IF NOT EXISTS minuet_shelf (id INTEGER PRIMARY KEY, title TEXT NOT NULL)"
MIGRATIONS = """
    CREATE TABLE IF NOT EXISTS minuet_migrations (
        part TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (part, version)
    )
"""
OLD = steps_of({"schema": f"{MIGRATIONS}; {FIRST};"})
EXPANDED = [
    *OLD,
    ["ALTER TABLE minuet_shelf ADD COLUMN place TEXT", "CREATE INDEX minuet_shelf_place ON minuet_shelf (place)"],
]
CONTRACTED = [*EXPANDED, ["DROP INDEX minuet_shelf_place"]]
CATALOG = """
    SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
    WHERE table_schema = 'public' UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes
    WHERE schemaname = 'public' ORDER BY 1, 2
"""
MASTER = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"


class Sqlite:
    """A fresh file for each name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def bring(self, name: str, steps: Sequence[Step], *, create: bool = True) -> None:
        database = Database(str(self._directory / f"{name}.db"))
        await database.open()
        await database.prepare("shelf", steps, create=create)
        await database.close()

    def catalog(self, name: str) -> list[tuple[object, ...]]:
        return pairs.look(self._directory / f"{name}.db", MASTER)

    def rows(self, name: str, sql: str) -> list[tuple[object, ...]]:
        return pairs.look(self._directory / f"{name}.db", sql)


class Postgres:
    """A fresh database for each name."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}

    async def bring(self, name: str, steps: Sequence[Step], *, create: bool = True) -> None:
        if name not in self.urls:
            self.urls[name] = postgres_pairs.create(url_of("postgres") or "")
        database = PostgresDatabase(PostgresPlace.from_url(self.urls[name]))
        await database.open()
        try:
            await database.prepare_schema("shelf", steps, create=create)
        finally:
            await database.close()

    def catalog(self, name: str) -> list[tuple[object, ...]]:
        return postgres_pairs.look(self.urls[name], CATALOG)

    def rows(self, name: str, sql: str) -> list[tuple[object, ...]]:
        return postgres_pairs.look(self.urls[name], sql)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs("postgres"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sqlite | Postgres]:
    """Where schemas are brought up to date."""
    if request.param == "sqlite":
        yield Sqlite(tmp_path)
        return
    made = Postgres()
    yield made
    for url in made.urls.values():
        postgres_pairs.PostgresPair(url, url).dropped()


async def test_a_fresh_schema_is_the_sum_of_the_migrations(place) -> None:
    """One made at once and one made version by version, with rows in it, are alike in every column and index."""
    await place.bring("fresh", CONTRACTED)
    for steps in (OLD, EXPANDED, CONTRACTED, CONTRACTED):
        await place.bring("grown", steps)
    assert place.catalog("grown") == place.catalog("fresh")
    assert place.rows("grown", "SELECT version FROM minuet_migrations ORDER BY 1") == [(1,), (2,), (3,)]


async def test_several_that_come_at_once_migrate_once(place) -> None:
    """Of processes of two versions that start together, one makes each step."""
    await place.bring("shared", OLD)
    await asyncio.gather(*(place.bring("shared", steps) for steps in (EXPANDED, OLD) * 4))
    assert place.rows("shared", "SELECT version FROM minuet_migrations ORDER BY 1") == [(1,), (2,)]


async def test_a_migration_that_fails_leaves_the_version_before(place) -> None:
    """Neither a half of its statements nor its number stays."""
    await place.bring("broken", OLD)
    before = place.catalog("broken")
    with pytest.raises(StoreUnavailable):
        await place.bring("broken", [*OLD, [*EXPANDED[1], "ALTER TABLE minuet_nowhere ADD COLUMN a TEXT"]])
    assert place.catalog("broken") == before
    await place.bring("broken", EXPANDED)


async def test_one_version_newer_still_serves_and_two_are_refused(place) -> None:
    """The binary before works on an expanded schema; a later one is refused in prose that says what to do."""
    await place.bring("newer", EXPANDED)
    await place.bring("newer", OLD)
    await place.bring("newer", CONTRACTED)
    with pytest.raises(StoreUnavailable, match=r"of version 3, and this minuet knows version 1.*Install the minuet"):
        await place.bring("newer", OLD)


async def test_who_only_looks_changes_nothing(place) -> None:
    """Without the right to create, an older schema is refused in prose and left as it is."""
    await place.bring("older", OLD)
    before = place.catalog("older")
    with pytest.raises(StoreUnavailable, match=r"of version 1, and this minuet reads version 2\. Start a service"):
        await place.bring("older", EXPANDED, create=False)
    assert place.catalog("older") == before
