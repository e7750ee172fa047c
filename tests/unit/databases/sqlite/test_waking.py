"""Waking other processes follows a commit, and cannot undo it."""

import asyncio
import shutil
from pathlib import Path

from minuet.stores.sqlite import SqliteStore


def test_a_commit_stands_when_nobody_can_be_woken(tmp_path: Path) -> None:
    """With the folder of the bells gone, what is committed is reported as committed, and so is not done again."""

    async def run() -> list[tuple[object, ...]]:
        store = SqliteStore(str(tmp_path / "shop.db"))
        await store.open()
        shutil.rmtree(tmp_path / "shop.db-minuet")
        async with store.transaction() as unit:
            await unit.transaction.execute("CREATE TABLE charges (pence INTEGER)")
            await unit.transaction.execute("INSERT INTO charges VALUES (5)")
            unit.wake_others()
        charges = await store.database.read("SELECT pence FROM charges")
        await store.close()
        return charges

    assert asyncio.run(run()) == [(5,)]
