"""What a reaction is given of its store: SQL in the transaction that records its delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

T = TypeVar("T")
Parameters: TypeAlias = Sequence[object] | Mapping[str, object]
"""What fills a statement's placeholders: a sequence for `?`, a mapping for `:name`."""


class Transaction(Protocol):
    """The transaction that records the delivery: what is written here, inbox and outbox commit as one.

    Placeholders are `?` with a sequence or `:name` with a mapping, on every store. There is no commit and no
    rollback: returning commits, raising rolls back. Its methods are awaited, so only `async def` may take it.
    """

    async def execute(self, sql: str, params: Parameters = ()) -> int:
        """Perform one statement; the number of rows that it changed."""
        ...

    async def fetch(self, into: type[T], sql: str, params: Parameters = ()) -> list[T]:
        """All rows, each as an `into`.

        A scalar type (`int`, `str`, `float`, `bytes`, `bool`) takes the first column; a msgspec Struct, a
        dataclass or a TypedDict is filled by column name.
        """
        ...

    async def fetch_one(self, into: type[T], sql: str, params: Parameters = ()) -> T | None:
        """The first row as an `into`, None if there is none."""
        ...
