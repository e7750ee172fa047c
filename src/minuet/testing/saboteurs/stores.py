"""Stores that lie in one way each about what is committed, owed, kept and shown."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from minuet.ports.broker import Message
from minuet.ports.store import Owed, Parameters, ParkedFilter
from minuet.stores.sqlite import MemoryStore
from minuet.testing.saboteurs.honest import HonestMemoryStore, HonestSqliteStore
from minuet.testing.saboteurs.lying import Lying, LyingStore, LyingUnit


class _CommittingErrors(LyingStore):
    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[LyingUnit]:
        failed: BaseException | None = None
        async with self.honest.transaction() as unit:
            try:
                yield self.unit(unit, self)
            except BaseException as error:  # noqa: BLE001  # raised below
                failed = error
        if failed is not None:
            raise failed


class CommitsErrors(HonestMemoryStore):
    """What a block that raises had written is committed."""

    caught_by, lie = "S01", _CommittingErrors


class _OwingLater(LyingUnit):
    @property
    def outbox(self) -> _OwingLater:
        return self

    async def owe(self, messages: Sequence[Message], at: float) -> None:
        assert isinstance(self.store, _TwoHalves)
        self.store.later.append((messages, at))


class _TwoHalves(LyingStore):
    unit = _OwingLater

    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.later: list[tuple[Sequence[Message], float]] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[LyingUnit]:
        async with self.honest.transaction() as unit:
            while self.later:
                await unit.outbox.owe(*self.later.pop(0))
            yield self.unit(unit, self)


class CommitsInTwoHalves(HonestSqliteStore):
    """What a unit owes is written with the next one."""

    caught_by, lie = "S01", _TwoHalves


class _Backwards(LyingStore):
    async def claim_owed(self, limit: int, **options: Any) -> list[Owed]:
        found: list[Owed] = await self.honest.claim_owed(limit, **options)
        return found[::-1]


class PublishesBackwards(HonestMemoryStore):
    """The newest of what is owed comes first."""

    caught_by, lie = "S05", _Backwards


class _Generous(LyingStore):
    async def claim_owed(self, limit: int, **options: Any) -> list[Owed]:
        found: list[Owed] = await self.honest.claim_owed(limit, **{**options, "limit_bytes": 1 << 40})
        return found


class GivesHoweverLarge(HonestMemoryStore):
    """How large the messages are that a relay is given is nobody's business."""

    caught_by, lie = "S05", _Generous


class _PayingNothing(LyingStore):
    async def paid(self, owed: Sequence[Owed]) -> None:
        await self.honest.paid(owed[:-1])
        await self.honest.unclaim(owed[-1:])


class ForgetsThatItPaid(HonestMemoryStore):
    """The last row of a batch that was published is owed once more."""

    caught_by, lie = "S05", _PayingNothing


class _KeepingForEver(LyingStore):
    async def claim_owed(self, limit: int, *, lease_seconds: float = 0.0, **options: Any) -> list[Owed]:
        found: list[Owed] = await self.honest.claim_owed(limit, lease_seconds=lease_seconds + 3600, **options)
        return found


class LendsForEver(HonestMemoryStore):
    """What a relay holds it holds as long as it lives."""

    caught_by, lie = "S06", _KeepingForEver


class _SharingRows(LyingStore):
    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.given: list[Owed] = []

    async def claim_owed(self, limit: int, **options: Any) -> list[Owed]:
        await self.honest.unclaim(self.given)
        found: list[Owed] = await self.honest.claim_owed(limit, **options)
        self.given += found
        return found


class GivesAwayWhatALivingRelayHolds(HonestMemoryStore):
    """A relay's rows are given to whoever asks next."""

    caught_by, lie = "S06", _SharingRows


class _HoldingNothing(LyingUnit):
    @property
    def outbox(self) -> _HoldingNothing:
        return self

    async def owe(self, messages: Sequence[Message], at: float) -> None:
        await self.honest.outbox.owe(messages, at)

    async def owe_held(
        self, messages: Sequence[Message], at: float, *, series: int, **options: Any
    ) -> Callable[[], Sequence[Owed]]:
        del options
        await self.owe(messages, at)
        return lambda: [Owed(number, message, at, f"1:born{series}:") for number, message in enumerate(messages)]


class _Promising(LyingStore):
    unit = _HoldingNothing
    capabilities = msgspec.structs.replace(MemoryStore.capabilities, holds=True)


class HoldsNothing(HonestMemoryStore):
    """What is said to be held from its birth is given to whoever claims."""

    caught_by, lie = "S22", _Promising


class _Abandoning(LyingStore):
    async def reclaim(self, now: float) -> int:
        del now
        return 0


class AbandonsTheDead(HonestSqliteStore):
    """What a dead process was running stays its own for ever."""

    caught_by, lie = "S09", _Abandoning


class _Stealing(LyingStore):
    async def reclaim(self, now: float) -> int:
        running = [each.delivery for each in await self.honest.parked(ParkedFilter()) if each.state == "running"]
        async with self.honest.transaction() as unit:
            for parked in running:
                await unit.parking.postpone(parked, now)
        return len(running)


class StealsFromTheLiving(HonestSqliteStore):
    """Whatever runs is due again, whoever runs it."""

    caught_by, lie = "S10", _Stealing


class _TrimmingTooMuch(LyingStore):
    async def trim(self, before: float) -> int:
        async with self.honest.transaction() as unit:
            for letter in await unit.dead_letters.find(self.old):
                await unit.dead_letters.discard(letter, before - 1)
        gone: int = await self.honest.trim(before)
        return gone

    old: Sequence[int] = range(1, 1000)


class TrimsWhatADeadLetterNeeds(HonestMemoryStore):
    """Dead letters are forgotten when they are old, open or not."""

    caught_by, lie = "S14", _TrimmingTooMuch


class _ShowingUnit(LyingUnit):
    @property
    def counters(self) -> _ShowingUnit:
        return self

    async def add(self, service: str, name: str, count: int) -> None:
        assert isinstance(self.store, _ShowingStore)
        of_service = self.store.shown.setdefault(service, {})
        of_service[name] = of_service.get(name, 0) + count
        await self.honest.counters.add(service, name, count)


class _ShowingStore(LyingStore):
    unit = _ShowingUnit

    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.shown: dict[str, dict[str, int]] = {}

    async def counts(self) -> dict[str, dict[str, int]]:
        return self.shown


class ShowsWhatIsNotCommitted(HonestMemoryStore):
    """Counts are seen while their transaction is open, and after its rollback."""

    caught_by, lie = "S15", _ShowingStore


class _ForgetfulStore(LyingStore):
    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.kept: dict[str, str] = {}

    async def keep_manifest(self, service: str, manifest: str) -> None:
        self.kept[service] = manifest

    async def manifests(self) -> dict[str, str]:
        return self.kept


class ForgetsWhenClosed(HonestSqliteStore):
    """Manifests are gone with the object that kept them."""

    caught_by, lie = "S16", _ForgetfulStore


class _HoldingWhatItShows(LyingStore):
    async def owed(self, limit: int = 1000) -> list[Owed]:
        found: list[Owed] = await self.honest.claim_owed(limit)
        return found


class HoldsWhatItShows(HonestMemoryStore):
    """Looking at the outbox takes its rows."""

    caught_by, lie = "S17", _HoldingWhatItShows


class _AdoptingAnything(LyingStore):
    async def adopt(self, native: object, *, sync: bool = False) -> object:
        del sync
        return LyingUnit(native, self)


class AdoptsAnything(HonestMemoryStore):
    """Whatever is given to `adopt` is taken for a connection."""

    caught_by, lie = "S19", _AdoptingAnything


class _Deaf(LyingStore):
    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        del wake
        return lambda: None


class ListensToNobody(HonestSqliteStore):
    """What others commit is not heard of."""

    caught_by, lie = "S20", _Deaf


class _Piecemeal(Lying):
    async def execute(self, sql: str, params: Parameters = ()) -> int:
        async with self.honest.transaction() as unit:
            changed: int = await unit.transaction.execute(sql, params)
        return changed

    async def fetch(self, into: type[Any], sql: str, params: Parameters = ()) -> list[Any]:
        async with self.honest.transaction() as unit:
            rows: list[Any] = await unit.transaction.fetch(into, sql, params)
        return rows


class _LettingGoUnit(LyingUnit):
    def __init__(self, honest: Any, store: LyingStore, ends: AsyncExitStack) -> None:
        super().__init__(honest, store)
        self.ends = ends
        self.ended = False

    @property
    def transaction(self) -> Any:
        return _Piecemeal(self.store.honest) if self.ended else self.honest.transaction

    async def one_at_a_time(self) -> None:
        await self.ends.aclose()
        self.ended = True


class _LettingGo(LyingStore):
    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[LyingUnit]:
        async with AsyncExitStack() as ends:
            yield _LettingGoUnit(await ends.enter_async_context(self.honest.transaction()), self, ends)


class LetsOthersInBetween(HonestSqliteStore):
    """A unit that asks to be the only one ends there and then, and its statements go on, each by itself."""

    caught_by, lie = "S23", _LettingGo
