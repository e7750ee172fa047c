"""What a SQLite file says when it is looked at: whether minuet has used it, and whether it is well."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from urllib.parse import quote

from minuet.databases.sqlite import Database
from minuet.errors import NeverUsed, StoreUnavailable
from minuet.ports.examined import Examined

OLDEST = (3, 38, 0)
"""The first version with `->>` on JSON."""
REPAIRED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""The versions with the repair of https://sqlite.org/wal.html#the_wal_reset_bug: a checkpoint and a commit of two
connections at the same instant may lose a commit. The first is the main line's, the others are of older lines."""
UPGRADE = "Install a newer SQLite, or a Python that brings one."


def refuse_stranger(path: str | None, table: str) -> None:
    """Raise NeverUsed unless this is a file that minuet has used; `table` is one that it then has.

    Raises StoreUnavailable for a file that cannot be read as a SQLite database.
    """
    if path is None:
        raise NeverUsed(
            "memory:// is gone with the process that used it: there is nothing to look at from another one. Give the "
            "URL of a store that lasts, such as sqlite:///shop.db."
        )
    if os.path.isdir(path):
        raise NeverUsed(f"{path} is a directory, not a SQLite file. Name the file in it.")
    if not os.path.isfile(path):
        raise NeverUsed(
            f"There is no file {path}. Check the path; a relative one counts from the working directory, which is "
            f"{os.getcwd()}."
        )
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=30)
        try:
            found = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
            ).fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"SQLite could not open {path}: {error}. Check that it is a SQLite database on a local disk and that this "
            "user may read and write it and its folder."
        ) from error
    if found is None:
        raise NeverUsed(
            f"{path} is a SQLite database that no minuet app has used: it has no table {table}. Check the path."
        )


def refuse_read_only(path: str | None) -> None:
    """Raise StoreUnavailable for a file that this user may not write, or whose folder."""
    if path is not None and (what := read_only(path)) is not None:
        raise StoreUnavailable(
            f"This user may not write {what}, and services keep their state there. Give this user the right to write "
            "the file and its folder, or run as a user who has it."
        )


def read_only(path: str) -> str | None:
    """What this user may not write: the file if there is one, or its folder, where SQLite keeps its log; else None."""
    folder = os.path.dirname(path) or "."
    if os.path.isfile(path) and not os.access(path, os.W_OK):
        return f"the file {path}"
    if os.path.isdir(folder) and not os.path.isdir(path) and not os.access(folder, os.W_OK):
        return f"the folder {folder}"
    return None


async def examine(database: Database) -> list[Examined]:
    """Everything that is looked at, well or not. Reads the whole file."""
    checks: tuple[Callable[[], Iterator[Examined]], ...] = (_version, _wal_reset)
    found = [one for check in checks for one in check()]
    if database.path is not None:
        found.append(_writable(database.path))
        found.append(await _journal_mode(database))
    found.append(await _integrity(database))
    return found


def _version() -> Iterator[Examined]:
    version = sqlite3.sqlite_version
    enough = sqlite3.sqlite_version_info >= OLDEST
    yield Examined(
        subject="sqlite.version",
        well=enough,
        found=f"SQLite is {version}." if enough else f"SQLite is {version}, and minuet needs 3.38.0 or later.",
        advice=None if enough else UPGRADE,
    )


def _wal_reset() -> Iterator[Examined]:
    if not repaired(sqlite3.sqlite_version_info):
        yield Examined(
            subject="sqlite.wal_reset",
            well=None,
            found=f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug: when two connections write and checkpoint "
            "at the same instant, a commit may be lost. minuet's processes write and checkpoint one at a time, so that "
            "they never meet; connections of other programs to this file may.",
            advice="If other programs write to this file, move to SQLite 3.51.3 or later (or 3.50.7, 3.44.6).",
        )


def repaired(version: tuple[int, ...]) -> bool:
    """Whether this version of SQLite has the repair of the WAL-reset bug."""
    return version >= REPAIRED[0] or any(fix <= version < (*fix[:2], 1000) for fix in REPAIRED[1:])


def _writable(path: str) -> Examined:
    what = read_only(path)
    return Examined(
        subject="sqlite.writable",
        well=what is None,
        found="This user may write the file and its folder." if what is None else f"This user may not write {what}.",
        advice=None
        if what is None
        else "Services of this user cannot start here. Give this user the right to write, or look and run as another.",
    )


async def _journal_mode(database: Database) -> Examined:
    [(mode,)] = await database.read("PRAGMA journal_mode")
    well = mode == "wal"
    return Examined(
        subject="sqlite.journal_mode",
        well=well,
        found=f"The journal mode is {mode}.",
        advice=None
        if well
        else "It must be WAL, so that reading and writing do not wait for each other; SQLite refuses that on network "
        "disks. Move the file to a local disk.",
    )


async def _integrity(database: Database) -> Examined:
    rows = [str(row[0]) for row in await database.read("PRAGMA quick_check(10)")]
    well = rows == ["ok"]
    return Examined(
        subject="sqlite.integrity",
        well=well,
        found="The integrity check found nothing wrong." if well else f"The file is damaged: {'; '.join(rows)}.",
        advice=None
        if well
        else "Stop every process, keep a copy of the file, and bring back a backup or run "
        "`sqlite3 damaged.db .recover | sqlite3 new.db`.",
    )
