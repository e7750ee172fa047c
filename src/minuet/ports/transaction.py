"""What a reaction is given of its store: SQL in the transaction that records its delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

from minuet.errors import StoreUnavailable

T = TypeVar("T")
Parameters: TypeAlias = Sequence[object] | Mapping[str, object]
"""What fills a statement's placeholders: a sequence for `?`, a mapping for `:name`."""


SCALARS = frozenset({int, str, float, bytes, bool})
"""What the first column of a row may be read as."""


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


def not_yours(done: str) -> StoreUnavailable:
    """What a store raises where a reaction does to its transaction what is the runtime's to do."""
    return StoreUnavailable(
        f"{done} was called on the connection of a reaction, whose transaction it shares with its inbox and its "
        "events. Return to commit it, raise to roll it back."
    )


def over(sql: str) -> StoreUnavailable:
    """What a store raises for a statement whose transaction has ended."""
    return StoreUnavailable(
        f"The transaction is over, and {sql!r} came after it. A reaction's Transaction ends when the reaction "
        "returns: await all of its statements inside, and start no task that outlives it."
    )
