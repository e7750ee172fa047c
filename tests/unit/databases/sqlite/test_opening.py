"""What is no SQLite database of ours is refused in prose, and nothing is left beside it."""

import asyncio
import os
from pathlib import Path

import pytest

from minuet.brokers.sqlite import SqliteBroker
from minuet.databases.sqlite.examination import read_only
from minuet.errors import StartupError, StoreUnavailable
from minuet.stores.sqlite import SqliteStore


@pytest.mark.parametrize("adapter", [SqliteStore, SqliteBroker])
def test_memory_is_not_a_file_of_that_name(adapter) -> None:
    """SQLite's own word for a database in memory is refused, with what to write."""
    with pytest.raises(StartupError, match="memory://"):
        adapter.from_url("sqlite:///:memory:")


@pytest.mark.parametrize("adapter", [SqliteStore, SqliteBroker])
@pytest.mark.parametrize(("kind", "says"), [("text", "file is not a database"), ("folder", "it is a directory")])
def test_what_is_no_database_has_nothing_put_beside_it(tmp_path: Path, adapter, kind, says) -> None:
    """A file of something else and a directory are refused before a folder is made for their neighbours."""
    there = tmp_path / "shop.db"
    if kind == "text":
        there.write_text("Dear Sir or Madam,\n" * 100)
    else:
        there.mkdir()
    with pytest.raises(StoreUnavailable, match=says):
        asyncio.run(adapter(str(there)).open())
    assert list(tmp_path.iterdir()) == [there]


def test_what_may_be_written_is_not_read_only(tmp_path: Path) -> None:
    """A file, and one that is still to be made, in a folder of this user's."""
    (tmp_path / "shop.db").write_text("")
    assert os.access(tmp_path, os.W_OK)
    assert read_only(str(tmp_path / "shop.db")) is None
    assert read_only(str(tmp_path / "new.db")) is None
