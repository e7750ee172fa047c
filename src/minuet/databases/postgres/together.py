"""Inserts of one row each as one insert of many: what a statement must look like for that, and how it then reads."""

from __future__ import annotations

import re
from functools import cache, lru_cache

SIZES = (64, 16, 4, 1)
"""How many rows go together: few sizes, because each is a statement that the server prepares."""
MOST_VALUES = 30_000
"""PostgreSQL numbers the values of a statement with 16 bits."""
ALIKE = """
    WITH RECURSIVE tables AS (
        SELECT to_regclass($1)::oid AS id
        UNION ALL SELECT inhrelid FROM pg_inherits JOIN tables ON inhparent = id
    )
    SELECT 1 / (count(*) = 0)::int FROM (
        SELECT 1 FROM pg_trigger JOIN tables ON tgrelid = id
        WHERE NOT tgisinternal AND (tgtype & 5 = 4 OR (tgtype & 71 = 5 AND NOT tginitdeferred))
        UNION ALL SELECT 1 FROM pg_rewrite WHERE ev_class = to_regclass($1) AND ev_type = '3'
        UNION ALL SELECT 1 FROM pg_class WHERE oid = to_regclass($1) AND relkind = 'v'
    ) AS difference
"""
"""Fails where an insert of many rows differs from many inserts: with triggers for each statement, with those that look
after each row, also of a partition, because they then see all rows; with rules, and views, below which there may be
either.
"""

_ITEM = r"\s*(?:\$\d+|-?\d+(?:\.\d+)?|'[^'\\]*'|NULL|TRUE|FALSE|DEFAULT)\s*"
_INSERT = re.compile(
    rf"""
    (?P<head>\s*INSERT\s+INTO\s+(?P<table>(?:\w+\.)?\w+)\s*(?:\([\w\s,]*\))?\s*VALUES\s*)
    \((?P<row>{_ITEM}(?:,{_ITEM})*)\)
    (?P<tail>\s*(?:ON\s+CONFLICT\s*(?:\([\w\s,]*\))?\s*DO\s+NOTHING\s*)?)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"'[^']*'|\$(\d+)")


class Insert:
    """An insert of one row of placeholders and constants, which may be written with many."""

    def __init__(self, table: str, head: str, row: str, tail: str, values: int) -> None:
        self.table = table
        self.values = values
        """How many values a row takes."""
        self._head = head
        self._row = row
        self._tail = tail
        self.sizes = tuple(size for size in SIZES if size * max(values, 1) <= MOST_VALUES)
        self.rows = cache(self._rows)

    def __repr__(self) -> str:
        return f"<Insert into {self.table}, {self.values} values>"

    def _rows(self, count: int) -> str:
        """The statement for so many rows, whose values follow each other. It fails unless it inserts as many."""
        rows = ", ".join(f"({self._numbered(n * self.values)})" for n in range(count))
        return (
            f"WITH minuet_rows AS ({self._head}{rows}{self._tail} RETURNING 1) "
            f"SELECT 1 / (count(*) = {count})::int FROM minuet_rows"
        )

    def _numbered(self, offset: int) -> str:
        return _PLACEHOLDER.sub(lambda it: f"${int(it[1]) + offset}" if it[1] else it[0], self._row)


@lru_cache(4096)
def insert_of(sql: str, values: int) -> Insert | None:
    """The insert that this statement, with its number of values, is; None for any other that cannot go together.

    One that updates on conflict cannot: PostgreSQL refuses to touch a row twice in a statement.
    """
    found = _INSERT.fullmatch(sql.strip().rstrip(";"))
    if found is None or not values:
        return None
    return Insert(found["table"], found["head"], found["row"], found["tail"], values)
