"""Handing dead letters back to the one consumer that failed, or giving them up: by plan, at a rate, canaries first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from minuet.contracts.contract import Contract
from minuet.contracts.envelope import split_type
from minuet.core.editing import Edit, edited
from minuet.core.selection import Selection, freeze
from minuet.errors import EditRefused
from minuet.ports.clock import Clock
from minuet.ports.store import DeadLetter, DeadLetterFilter, Store
from minuet.service.service import Service

STEP = 100
"""How many letters share a transaction, where no rate is asked for."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a selection. Each letter's number is in exactly one of these."""

    resolved: tuple[int, ...] = ()
    """Redriven, and handled since."""
    redriven: tuple[int, ...] = ()
    """Redriven; whether it is handled is not known yet."""
    died_again: tuple[int, ...] = ()
    """Redriven, and a dead letter again."""
    passed_over: tuple[int, ...] = ()
    """No longer open when its turn came: somebody else was there first."""
    discarded: tuple[int, ...] = ()
    """Given up for good."""
    left: tuple[int, ...] = ()
    """Not touched, because a canary died or did not end in time."""


class Redrive:
    """Acts on the dead letters of a store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._changed = asyncio.Event()
        store.listen(self._changed.set)

    def __repr__(self) -> str:
        return f"<Redrive of {self._store!r}>"

    async def select(self, which: DeadLetterFilter) -> Selection:
        """What matches now, frozen."""
        return freeze(await self._store.survey_dead_letters(which))

    async def hand_back(
        self,
        selection: Selection,
        *,
        edit: Callable[[DeadLetter], DeadLetter] | None = None,
        interval_seconds: float = 0.0,
        canaries: int = 0,
        canary_seconds: float = 60.0,
        wait_seconds: float = 0.0,
        done: Callable[[int], None] | None = None,
    ) -> Outcome:
        """Redrive the letters of a selection, oldest first, those that are still open.

        `edit` is applied to each; what it refuses is raised before any letter is touched. The first `canaries` go
        ahead: unless all of them are handled within `canary_seconds`, the rest is left alone. `interval_seconds` lies
        between one letter and the next. At the end outcomes are awaited for `wait_seconds`. `done` is told how many
        letters have gone at each step.
        """
        if edit is not None:
            for letter in await self._find(selection.ids):
                edit(letter)
        first, rest = selection.ids[:canaries], selection.ids[canaries:]
        gone = await self._go(first, edit, interval_seconds, done)
        states = await self.states(gone, canary_seconds if gone else 0.0)
        if all(states[number] == "resolved" for number in gone):
            more = await self._go(rest, edit, interval_seconds, done)
            gone, rest = [*gone, *more], ()
            states = await self.states(gone, wait_seconds)
        return Outcome(
            resolved=_in(states, "resolved"),
            redriven=_in(states, "redriven"),
            died_again=_in(states, "open"),
            passed_over=tuple(n for n in selection.ids if n not in states and n not in rest),
            left=tuple(rest),
        )

    async def states(self, ids: Sequence[int], seconds: float) -> dict[int, str]:
        """How these letters stand, as soon as none is on its way or the time is up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            self._changed.clear()
            heads = await self._store.survey_dead_letters(DeadLetterFilter(state=None, ids=tuple(ids)))
            states = {head.id: str(head.state) for head in heads}
            left = until - loop.time()
            if left <= 0 or "redriven" not in states.values():
                return states
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                continue

    async def discard(self, selection: Selection, because: str, done: Callable[[int], None] | None = None) -> Outcome:
        """Give these letters up for good, those that are still open; what waits behind them goes on."""
        discarded: list[int] = []
        for step in _steps(selection.ids, STEP):
            async with self._store.transaction() as unit:
                for letter in await unit.dead_letters.find(step):
                    explained = msgspec.structs.replace(letter, because=because)
                    if await unit.dead_letters.discard(explained, self._clock.now()):
                        discarded.append(letter.id)
            if done is not None:
                done(len(step))
        return Outcome(
            discarded=tuple(discarded), passed_over=tuple(n for n in selection.ids if n not in set(discarded))
        )

    async def _go(
        self,
        ids: Sequence[int],
        edit: Callable[[DeadLetter], DeadLetter] | None,
        interval_seconds: float,
        done: Callable[[int], None] | None,
    ) -> list[int]:
        """Redrive; the numbers of those that went."""
        gone: list[int] = []
        loop = asyncio.get_running_loop()
        at = loop.time()
        for step in _steps(ids, 1 if interval_seconds else STEP):
            await asyncio.sleep(max(0.0, at - loop.time()))
            at += interval_seconds
            async with self._store.transaction() as unit:
                for letter in await unit.dead_letters.find(step):
                    ready = edit(letter) if edit is not None else msgspec.structs.replace(letter, difference=None)
                    if await unit.dead_letters.redrive(ready, self._clock.now()):
                        gone.append(letter.id)
            if done is not None:
                done(len(step))
        return gone

    async def _find(self, ids: Sequence[int]) -> list[DeadLetter]:
        return [
            letter
            for step in _steps(ids, STEP)
            for letter in await self._store.list_dead_letters(DeadLetterFilter(state=None, ids=tuple(step)), STEP)
        ]


def editor(services: Sequence[Service], edit: Edit) -> Callable[[DeadLetter], DeadLetter]:
    """What edits a dead letter of these services, against the contract that the failing reaction reads it by."""

    def apply(letter: DeadLetter) -> DeadLetter:
        return edited(letter, contract_of_letter(services, letter), edit)

    return apply


def contract_of_letter(services: Sequence[Service], letter: DeadLetter) -> Contract:
    """The contract by which the letter's consumer reads it. Raises EditRefused where there is none."""
    reactions = [reaction for service in services for reaction in service.reactions if reaction.id == letter.consumer]
    if not reactions:
        raise EditRefused(
            f"Dead letter {letter.id} belongs to {letter.consumer}, and the app has no such reaction. An edit is "
            "checked against the contract: give the app that the reaction is part of."
        )
    name = split_type(letter.type)[0] if letter.type is not None else letter.topic
    for contract in reactions[0].takes:
        if contract.name == name:
            return contract
    taken = " or ".join(contract.type for contract in reactions[0].takes)
    raise EditRefused(
        f"Dead letter {letter.id} is {letter.type or f'on the topic {letter.topic}'}, and {letter.consumer} "
        f"({reactions[0].place}) takes {taken}. There is no contract to edit it by."
    )


def _steps(ids: Sequence[int], size: int) -> list[Sequence[int]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _in(states: dict[int, str], state: str) -> tuple[int, ...]:
    return tuple(number for number, is_now in states.items() if is_now == state)
