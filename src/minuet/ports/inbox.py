"""The inbox, as part of a store's transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol


class Inbox(Protocol):
    """What each consumer has already had."""

    async def seen(self, consumer: str, identities: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these (source, event id) the consumer has had."""
        ...

    def remember(
        self, consumer: str, identities: Sequence[tuple[str, str]], at: float
    ) -> Awaitable[set[tuple[str, str]]]:
        """The consumer has had these, each given once. Answers with those that it had not had before; while a unit that
        has not ended remembers one of them too, waits for how that one ends.
        """
        ...
