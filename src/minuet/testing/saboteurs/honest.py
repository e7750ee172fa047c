"""Honest adapters behind a front that changes nothing: what saboteurs are made of, and proof that the front is fair."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, cast

from minuet.brokers.memory import MemoryBroker
from minuet.brokers.sqlite import SqliteBroker
from minuet.ports.broker import Broker
from minuet.ports.store import Store
from minuet.stores.sqlite import MemoryStore, SqliteStore
from minuet.testing.conformance.broker import BrokerConformance
from minuet.testing.conformance.store import StoreConformance
from minuet.testing.saboteurs.lying import LyingBroker, LyingStore


class HonestMemoryBroker(BrokerConformance):
    """The memory broker behind a front that changes nothing: no clause may fail."""

    caught_by: ClassVar[str | None] = None
    lie: ClassVar[type[LyingBroker]] = LyingBroker
    patience_seconds = 1.5
    limit_seconds = 30.0

    def make_broker(self, folder: Path) -> Broker:
        del folder
        return cast(Broker, self.lie(MemoryBroker()))


class HonestSqliteBroker(HonestMemoryBroker):
    """The SQLite broker behind a front that changes nothing: no clause may fail."""

    patience_seconds = 10.0

    def make_broker(self, folder: Path) -> Broker:
        return cast(Broker, self.lie(SqliteBroker(str(folder / "log.db"))))

    def make_store(self, folder: Path) -> Store:
        return SqliteStore(str(folder / "log.db"))


class HonestMemoryStore(StoreConformance):
    """The memory store behind a front that changes nothing: no clause may fail."""

    caught_by: ClassVar[str | None] = None
    lie: ClassVar[type[LyingStore]] = LyingStore
    patience_seconds = 1.5
    limit_seconds = 30.0

    def make_store(self, folder: Path) -> Store:
        del folder
        return cast(Store, self.lie(MemoryStore(None)))


class HonestSqliteStore(HonestMemoryStore):
    """The SQLite store behind a front that changes nothing: no clause may fail."""

    patience_seconds = 10.0

    def make_store(self, folder: Path) -> Store:
        return cast(Store, self.lie(SqliteStore(str(folder / "state.db"))))
