"""What a reaction's SQL would do to its connection besides reading and writing rows: read off its text.

A reaction shares its transaction with its inbox, its events and its neighbours, and its connection with whoever comes
next. What would end the transaction is refused. What outlives it, such as SET, LISTEN or an advisory lock, is allowed
and taken back when the reaction is done.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

_SKIPPED = re.compile(
    r"""
      [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*'           # a text
    | --[^\n]* | /\*(?:[^*]|\*(?!/))*\*/                  # a comment
    | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$       # a text between dollars
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE|\()", re.IGNORECASE)
_LASTING = re.compile(r"\b(?:set_config|pg_(?:try_)?advisory_lock\w*|setseed|dblink_connect\w*)\b", re.IGNORECASE)
_ENDING = re.compile(
    r"""
    (?:BEGIN|START|COMMIT|END|ABORT|DISCARD|DEALLOCATE)\b
    | PREPARE\s+TRANSACTION\b
    | SET\s+(?:SESSION\s+CHARACTERISTICS|(?:(?:LOCAL|SESSION)\s+)?(?:TRANSACTION\b|"?transaction_))
    | ROLLBACK\b(?!\s+(?:(?:WORK|TRANSACTION)\s+)?TO\b)
    | (?:SAVEPOINT|RELEASE(?:\s+SAVEPOINT)?|ROLLBACK(?:\s+(?:WORK|TRANSACTION))?\s+TO(?:\s+SAVEPOINT)?)\s+"?minuet_
    | (?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE|(?:DROP|ALTER|LOCK)\s+TABLE)\s+
      (?:(?:TABLE|ONLY|IF\s+EXISTS)\s+)*(?:"?\w+"?\s*\.\s*)?"?minuet_
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Reach(Enum):
    """How far a statement reaches."""

    ROWS = "rows"
    """It reads and writes rows."""
    CONNECTION = "connection"
    """What it does may outlive the reaction."""
    TRANSACTION = "transaction"
    """It would end the transaction, or touch what is minuet's: refused."""


@lru_cache(4096)
def reach_of(sql: str) -> Reach:
    """How far this text reaches, which may be several statements."""
    found = Reach.ROWS
    for statement in _SKIPPED.sub(" ", sql).split(";"):
        words = statement.strip()
        if _ENDING.match(words):
            return Reach.TRANSACTION
        if words and (not _PLAIN.match(words) or _LASTING.search(words)):
            found = Reach.CONNECTION
    return found
