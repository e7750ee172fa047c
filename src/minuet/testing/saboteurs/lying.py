"""Adapters that do what an honest one does, but for what their kinds replace."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from minuet.ports.broker import Group
from minuet.ports.store import Store


class Lying:
    """Stands before an honest object and answers as it does. A kind lies by a method of its own."""

    def __init__(self, honest: Any) -> None:
        self.honest = honest

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} before {self.honest!r}>"


class LyingBroker(Lying):
    """A broker whose subscriptions may lie too."""

    subscription: ClassVar[type[Lying]] = Lying
    joined_broker: ClassVar[type[Lying]] = Lying

    def subscribe(self, group: Group) -> Lying:
        return self.subscription(self.honest.subscribe(group))

    def joined(self, store: Store) -> Lying | None:
        joined = self.honest.joined(store)
        return None if joined is None else self.joined_broker(joined)


class LyingUnit(Lying):
    """A unit that knows its store."""

    def __init__(self, honest: Any, store: LyingStore) -> None:
        super().__init__(honest)
        self.store = store


class LyingStore(Lying):
    """A store whose units may lie too."""

    unit: ClassVar[type[LyingUnit]] = LyingUnit

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[LyingUnit]:
        async with self.honest.transaction() as unit:
            yield self.unit(unit, self)
