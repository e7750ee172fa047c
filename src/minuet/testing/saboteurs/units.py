"""Stores whose units lie in one way each: about the inbox, what is parked, dead letters, statements."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec

from minuet.ports.store import DeadLetter, Parameters, Parked
from minuet.testing.saboteurs.honest import HonestMemoryStore
from minuet.testing.saboteurs.lying import Lying, LyingStore, LyingUnit

Identity = tuple[str, str]


class _UndoingNothing(LyingUnit):
    async def undo(self) -> None:
        await self.honest.keep()


class _UndoForgettingStore(LyingStore):
    unit = _UndoingNothing


class ForgetsUndo(HonestMemoryStore):
    """What was written since the mark stays."""

    caught_by, lie = "S02", _UndoForgettingStore


class _Sourceless(Lying):
    async def seen(self, consumer: str, identities: Sequence[Identity]) -> set[Identity]:
        found = await self.honest.seen(consumer, [("", event_id) for _, event_id in identities])
        return {identity for identity in identities if ("", identity[1]) in found}

    async def remember(self, consumer: str, identities: Sequence[Identity], at: float) -> set[Identity]:
        fresh = await self.honest.remember(consumer, [("", event_id) for _, event_id in identities], at)
        return {identity for identity in identities if ("", identity[1]) in fresh}


class _SourcelessUnit(LyingUnit):
    @property
    def inbox(self) -> Lying:
        return _Sourceless(self.honest.inbox)


class _SourcelessStore(LyingStore):
    unit = _SourcelessUnit


class CollidesSources(HonestMemoryStore):
    """In the inbox an id is an id, whoever gave it."""

    caught_by, lie = "S03", _SourcelessStore


class _LateUnit(LyingUnit):
    known: set[tuple[str, Identity]]

    @property
    def inbox(self) -> _LateUnit:
        return self

    async def seen(self, consumer: str, identities: Sequence[Identity]) -> set[Identity]:
        return {identity for identity in identities if (consumer, identity) in self.known}

    async def remember(self, consumer: str, identities: Sequence[Identity], at: float) -> set[Identity]:
        fresh = set(identities) - await self.seen(consumer, identities)
        await self.honest.inbox.remember(consumer, identities, at)
        self.known.update((consumer, identity) for identity in identities)
        assert isinstance(self.store, _LateStore)
        self.store.known.update(self.known)
        return fresh


class _LateStore(LyingStore):
    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.known: set[tuple[str, Identity]] = set()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[LyingUnit]:
        known = set(self.known)
        async with self.honest.transaction() as unit:
            late = _LateUnit(unit, self)
            late.known = known
            yield late


class LooksBeforeItsTurn(HonestMemoryStore):
    """A unit sees the inbox as it was when the unit was asked for, not when it began."""

    caught_by, lie = "S04", _LateStore


class _EarlyParking(Lying):
    async def due(self, consumer: str, now: float, limit: int, *, run: bool) -> list[Parked]:
        found: list[Parked] = await self.honest.due(consumer, now + 0.5, limit, run=run)
        return found


class _EarlyUnit(LyingUnit):
    @property
    def parking(self) -> Lying:
        return _EarlyParking(self.honest.parking)


class _EarlyStore(LyingStore):
    unit = _EarlyUnit


class FiresEarly(HonestMemoryStore):
    """A delivery falls due half a second before its instant."""

    caught_by, lie = "S07", _EarlyStore


class _PassingParking(Lying):
    async def park(
        self,
        deliveries: Sequence[Parked],
        *,
        state: Literal["due", "behind", "running"],
        due_at: float | None = None,
    ) -> list[int]:
        if state == "behind":
            state, due_at = "due", 0.0
        found: list[int] = await self.honest.park(deliveries, state=state, due_at=due_at)
        return found


class _PassingUnit(LyingUnit):
    @property
    def parking(self) -> Lying:
        return _PassingParking(self.honest.parking)


class _PassingStore(LyingStore):
    unit = _PassingUnit


class LetsOthersPass(HonestMemoryStore):
    """What is parked behind its key is due at once."""

    caught_by, lie = "S08", _PassingStore


class _LettersWithoutHistory(Lying):
    async def bury(self, letter: DeadLetter, *, hold: Parked | None = None) -> int:
        number: int = await self.honest.bury(msgspec.structs.replace(letter, history=letter.history[-1:]), hold=hold)
        return number


class _HistorylessUnit(LyingUnit):
    @property
    def dead_letters(self) -> Lying:
        return _LettersWithoutHistory(self.honest.dead_letters)


class _HistorylessStore(LyingStore):
    unit = _HistorylessUnit


class ForgetsHistory(HonestMemoryStore):
    """Of a dead letter's attempts the last alone is kept."""

    caught_by, lie = "S11", _HistorylessStore


class _RedrivingUnit(LyingUnit):
    @property
    def dead_letters(self) -> _RedrivingUnit:
        return self

    async def redrive(self, letter: DeadLetter, now: float) -> bool:
        if not await self.honest.dead_letters.redrive(letter, now):
            again = Parked(
                id=0, consumer=letter.consumer, topic=letter.topic, key=None, event_id=letter.event_id,
                source=letter.source, headers=letter.headers, body=letter.body, dead_letter=letter.id,
            )  # fmt: skip
            await self.honest.parking.park([again], state="due", due_at=now)
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest.dead_letters if name in ("bury", "find", "discard") else self.honest, name)


class _RedrivingStore(LyingStore):
    unit = _RedrivingUnit


class RedrivesAgain(HonestMemoryStore):
    """A letter that was redriven is redriven once more."""

    caught_by, lie = "S12", _RedrivingStore


class _HoldlessUnit(LyingUnit):
    @property
    def dead_letters(self) -> _HoldlessUnit:
        return self

    async def bury(self, letter: DeadLetter, *, hold: Parked | None = None) -> int:
        number: int = await self.honest.dead_letters.bury(letter)
        if hold is not None and hold.id:
            await self.honest.parking.settle([hold], "dead", letter.at)
        return number

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest.dead_letters if name in ("redrive", "find", "discard") else self.honest, name)


class _HoldlessStore(LyingStore):
    unit = _HoldlessUnit


class HoldsNothing(HonestMemoryStore):
    """A dead letter that is to hold its key does not."""

    caught_by, lie = "S13", _HoldlessStore


class _Miscounting(Lying):
    async def execute(self, sql: str, params: Parameters = ()) -> int:
        await self.honest.execute(sql, params)
        return 1


class _MiscountingUnit(LyingUnit):
    @property
    def transaction(self) -> Lying:
        return _Miscounting(self.honest.transaction)


class _MiscountingStore(LyingStore):
    unit = _MiscountingUnit


class CountsEveryStatementAsOneRow(HonestMemoryStore):
    """A statement says that it changed a row, whatever it did."""

    caught_by, lie = "S18", _MiscountingStore


class _ForgettingParking(Lying):
    async def owned(self, consumer: str) -> list[Parked]:  # noqa: ARG002  # its lie
        return []


class _ForgettingUnit(LyingUnit):
    @property
    def parking(self) -> Lying:
        return _ForgettingParking(self.honest.parking)


class _ForgettingStore(LyingStore):
    unit = _ForgettingUnit


class ForgetsWhatItRuns(HonestMemoryStore):
    """A process that asks what it runs is told: nothing."""

    caught_by, lie = "S21", _ForgettingStore
