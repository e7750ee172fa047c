"""A broker whose topology is somebody's decision, small enough to see through: SQLite behind the face of a server."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from minuet.brokers.sqlite import SqliteBroker
from minuet.errors import BrokerUnavailable
from minuet.ports.broker import Change, Group
from minuet.ports.store import Store

CLOSED = "a folder of this name forbids it. Remove the folder."


class DecidedBroker(SqliteBroker):
    """Lives in a file, shares no transaction, and makes groups when it is asked to.

    It refuses groups that it finds a folder for, named as they are, in the folder `forbidden` beside its file.
    """

    capabilities = msgspec.structs.replace(SqliteBroker.capabilities, provisioned="on_request", joins=False)

    async def open(self, *, create: bool = True) -> None:
        del create
        await super().open()

    def joined(self, store: Store) -> None:
        del store

    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        return [
            msgspec.structs.replace(change, refused=CLOSED if self._forbids(change) else None)
            for change in await super().plan(groups)
        ]

    async def provision(self, groups: Sequence[Group]) -> None:
        if refused := [change.what for change in await self.plan(groups) if change.refused is not None]:
            raise BrokerUnavailable(f"{self!r} leaves alone what somebody has forbidden: {', '.join(refused)}.")
        await super().provision(groups)

    def _forbids(self, change: Change) -> bool:
        path = self.database.path
        return path is not None and (Path(path).parent / "forbidden" / change.what.removeprefix("group ")).is_dir()
