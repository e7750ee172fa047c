"""Brokers that lie in one way each about what is published, kept and shown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from minuet.brokers.memory import MemoryBroker
from minuet.ports.broker import Broker, Change, Group, Logged, Message
from minuet.ports.examined import Examined
from minuet.ports.store import Store, Unit
from minuet.testing.saboteurs.honest import HonestMemoryBroker, HonestSqliteBroker
from minuet.testing.saboteurs.lying import Lying, LyingBroker


class _PublishesLater(LyingBroker):
    async def publish(self, messages: Sequence[Message]) -> None:
        self.publishing = asyncio.create_task(self.honest.publish(messages))


class PublishesLater(HonestSqliteBroker):
    """`publish` returns before its messages are durable."""

    caught_by, lie = "B01", _PublishesLater


class _OneGroup(LyingBroker):
    def _shared(self, group: Group) -> Group:
        return Group(f"of {'+'.join(group.topics)}", group.service, group.topics)

    async def provision(self, groups: Sequence[Group]) -> None:
        await self.honest.provision([self._shared(group) for group in groups])

    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        planned: list[Change] = await self.honest.plan([self._shared(group) for group in groups])
        return planned

    def subscribe(self, group: Group) -> Lying:
        return super().subscribe(self._shared(group))


class GroupsTakeFromEachOther(HonestMemoryBroker):
    """Groups that read the same topics get each message between them."""

    caught_by, lie = "B05", _OneGroup


class _Ascii(LyingBroker):
    async def publish(self, messages: Sequence[Message]) -> None:
        await self.honest.publish([_in_ascii(message) for message in messages])


class DropsHeaderBytes(HonestMemoryBroker):
    """What is not ASCII is dropped from the values of headers."""

    caught_by, lie = "B07", _Ascii


class _TextOnly(LyingBroker):
    async def publish(self, messages: Sequence[Message]) -> None:
        await self.honest.publish([_as_text(message) for message in messages])


class TakesBodiesForText(HonestMemoryBroker):
    """Bytes that are no UTF-8 are replaced."""

    caught_by, lie = "B08", _TextOnly


class _Unbounded(LyingBroker):
    capabilities = msgspec.structs.replace(MemoryBroker.capabilities, max_payload_bytes=1000)


class RefusesNothing(HonestMemoryBroker):
    """A payload above the declared bound is carried."""

    caught_by, lie = "B09", _Unbounded


class _PartOfABatch(LyingBroker):
    async def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self.honest.publish([message])


class PublishesPartOfABatch(HonestMemoryBroker):
    """Of a batch with a payload that is too large, what stands before it is published."""

    caught_by, lie = "B09", _PartOfABatch


class _Skipping(LyingBroker):
    async def skip(self, groups: Sequence[Group]) -> None:
        """Acknowledge for these groups all that there is."""
        await self.honest.provision(groups)
        behind = {progress.group.name: progress.behind for progress in await self.honest.groups()}
        for group in groups:
            subscription = self.honest.subscribe(group)
            while behind[group.name] > 0:
                found = await subscription.receive(behind[group.name])
                await subscription.acknowledge(found)
                behind[group.name] -= len(found)
            await subscription.close()


class _PastForgetting(_Skipping):
    async def provision(self, groups: Sequence[Group]) -> None:
        known = {progress.group.name for progress in await self.honest.groups()}
        await self.skip([group for group in groups if group.name not in known])


class ForgetsThePast(HonestMemoryBroker):
    """A new group sees what is published from now on."""

    caught_by, lie = "B10", _PastForgetting


class _ForgettingWhenClosed(LyingBroker):
    is_open = False

    async def open(self) -> None:
        await self.honest.open()
        self.is_open = True

    async def close(self) -> None:
        if self.is_open:
            self.is_open = False
            async with self.honest.database.writing() as connection:
                connection.execute("DELETE FROM minuet_log")
        await self.honest.close()


class ForgetsWhenClosed(HonestSqliteBroker):
    """What was published is gone when the broker is closed."""

    caught_by, lie = "B13", _ForgettingWhenClosed


class _TwoHalves(Lying):
    async def publish(self, unit: Unit, messages: Sequence[Message]) -> int:
        unit.after_commit(lambda: self.later(messages))
        return 0

    def later(self, messages: Sequence[Message]) -> None:
        self.publishing = asyncio.create_task(self.broker.publish(messages))

    broker: Broker


class _TwoHalvesBroker(LyingBroker):
    def joined(self, store: Store) -> Lying:
        joined = _TwoHalves(self.honest.joined(store))
        joined.broker = self.honest
        return joined


class CommitsInTwoHalves(HonestSqliteBroker):
    """What a transaction publishes is published after its commit, in another one."""

    caught_by, lie = "B15", _TwoHalvesBroker


class _ById(Lying):
    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.known: set[str | None] = set()

    async def publish(self, unit: Unit, messages: Sequence[Message]) -> int:
        fresh = [message for message in messages if message.id not in self.known]
        self.known.update(message.id for message in messages)
        absorbed: int = await self.honest.publish(unit, fresh)
        return absorbed + len(messages) - len(fresh)


class _ByIdBroker(LyingBroker):
    joined_broker = _ById


class TakesSourcesForOne(HonestSqliteBroker):
    """A message whose id another source has used is absorbed."""

    caught_by, lie = "B16", _ByIdBroker


class _AwaitedByNobody(LyingBroker):
    async def instance(self, correlation_id: str, *, quick: bool = False) -> list[Logged]:
        logged: list[Logged] = await self.honest.instance(correlation_id, quick=quick)
        return [Logged(each.message, each.number) for each in logged]


class SaysThatNobodyWaits(HonestMemoryBroker):
    """No message of an instance is shown as awaited."""

    caught_by, lie = "B17", _AwaitedByNobody


class _TrimsAll(LyingBroker):
    async def trim(self, before: float, now: float, keep: frozenset[str]) -> int:
        del keep
        gone: int = await self.honest.trim(before, now, frozenset())
        return gone


class TrimsWhatItIsToKeep(HonestMemoryBroker):
    """Old messages are forgotten also when they are asked for."""

    caught_by, lie = "B18", _TrimsAll


class _MovingGroups(_Skipping):
    async def provision(self, groups: Sequence[Group]) -> None:
        known = {progress.group.name for progress in await self.honest.groups()}
        await self.honest.provision(groups)
        await self.skip([group for group in groups if group.name in known])


class MovesGroups(HonestMemoryBroker):
    """A group that is provisioned once more begins at the end."""

    caught_by, lie = "B19", _MovingGroups


class _Intrusive(_Skipping):
    async def examine(self) -> list[Examined]:
        await self.skip([progress.group for progress in await self.honest.groups()])
        found: list[Examined] = await self.honest.examine()
        return found


class TakesWhatItExamines(HonestMemoryBroker):
    """What the broker looks at in itself is gone for its groups."""

    caught_by, lie = "B20", _Intrusive


class _ActingOnPlans(LyingBroker):
    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        planned: list[Change] = await self.honest.plan(groups)
        await self.honest.provision(groups)
        return planned


class DoesWhatItPlans(HonestMemoryBroker):
    """Whoever asks what would be changed has it changed."""

    caught_by, lie = "B21", _ActingOnPlans


class _PlanningNothing(LyingBroker):
    async def plan(self, groups: Sequence[Group]) -> list[Change]:
        del groups
        return []


class PlansNothing(HonestMemoryBroker):
    """Nothing would be changed, it says, and then it changes things."""

    caught_by, lie = "B21", _PlanningNothing


def _in_ascii(message: Message) -> Message:
    if not isinstance(message.headers, dict):
        return message
    headers = {name: value.encode("ascii", "ignore").decode() for name, value in message.headers.items()}
    return msgspec.structs.replace(message, headers=headers)


def _as_text(message: Message) -> Message:
    if isinstance(message.body, str):
        return message
    return msgspec.structs.replace(message, body=message.body.decode(errors="replace"))
