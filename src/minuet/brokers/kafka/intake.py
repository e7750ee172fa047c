"""What a process has fetched of a group's partitions: in order for who receives, with what is done of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from confluent_kafka import OFFSET_INVALID
from confluent_kafka import Message as Record

from minuet.brokers.kafka.offsets import MOST_BITS, PartitionOffsets
from minuet.brokers.kafka.wire import read_headers, text_of
from minuet.ports.broker import Delivery

Where = tuple[str, int]
"""A partition: Kafka's name of its topic, and its number."""
MOST_WAITING, MOST_WAITING_BYTES = 2048, 16 * 1024 * 1024
"""How much is kept for who receives, give or take what the library hands over at a time."""
MOST_SPAN = MOST_BITS - 4 * MOST_WAITING
"""How far a partition is read beyond what is not acknowledged: so far that all of it can be written down."""
_SLOT = 48
_OFFSET = (1 << _SLOT) - 1
_token_of = attrgetter("token")


class End(NamedTuple):
    """Everything of a partition that is before this offset was fetched, as far as there is anything for a consumer."""

    where: Where
    offset: int


class Intake:
    """Shared by the event loop and the thread that fetches; all of it is behind `lock`.

    A delivery's token is its assignment and its offset, so that an acknowledgement of a partition that was lost since
    then means nothing.
    """

    def __init__(self, topics: Mapping[str, str]) -> None:
        self._topics = topics
        """The topics, by Kafka's names for them."""
        self.lock = threading.Condition()
        """Notified when there is room again, and when a partition that is to leave may have nothing held any more."""
        self.dirty: set[PartitionOffsets] = set()
        """Of which something was done since it was committed."""
        self.assigned: dict[Where, PartitionOffsets] = {}
        self._slots: dict[int, PartitionOffsets] = {}
        self._last_slot = 0
        self._epoch = 0
        self._raw: deque[tuple[int, list[Record] | End]] = deque()
        """What was fetched and who receives has not looked at, each with its epoch; ends among records, in order."""
        self._ready: deque[Delivery] = deque()
        self._raw_count = self._waiting_bytes = 0
        self._awaited = False

    def __repr__(self) -> str:
        return f"<Intake of {len(self.assigned)} partitions, {self._raw_count + len(self._ready)} waiting>"

    # -- for who receives

    def take(self, limit: int, busy: Callable[[Delivery], bool] | None) -> list[Delivery]:
        """The next deliveries, in order, at most `limit`; without those that are `busy`, whose keys others hold."""
        with self.lock:
            self._convert(limit, busy)
            found = self._pick(limit, busy)
            for delivery in found:
                self._slots[delivery.token >> _SLOT].held += 1
            self._waiting_bytes -= sum([len(delivery.body) for delivery in found])
            self._awaited = not found
            if found and self._raw_count + len(self._ready) <= MOST_WAITING // 2:
                self.lock.notify_all()
        return found

    def _pick(self, limit: int, busy: Callable[[Delivery], bool] | None) -> list[Delivery]:
        ready = self._ready
        if busy is None:
            return [ready.popleft() for _ in range(min(limit, len(ready)))]
        found: list[Delivery] = []
        passed: list[Delivery] = []
        while ready and len(found) < limit:
            delivery = ready.popleft()
            (passed if busy(delivery) else found).append(delivery)
        ready.extendleft(reversed(passed))
        return found

    def _convert(self, limit: int, busy: Callable[[Delivery], bool] | None) -> None:
        """Make deliveries of what was fetched, as many as are wanted; all of it where some may be passed over."""
        ready, topics, assigned = self._ready, self._topics, self.assigned
        while self._raw and (busy is not None or len(ready) < limit):
            epoch, records = self._raw.popleft()
            if isinstance(records, End):
                self._pass(records, epoch)
                continue
            self._raw_count -= len(records)
            for record in records:
                there, offset = record.topic() or "", record.offset() or 0
                partition = assigned.get((there, record.partition() or 0))
                if partition is None or partition.since > epoch or partition.leaving:
                    self._waiting_bytes -= len(record)  # fetched for an assignment that has ended
                    continue
                if offset > partition.next:
                    self.dirty.add(partition)
                if not partition.fetched(offset):
                    self._waiting_bytes -= len(record)  # done before this assignment began
                    continue
                event_id, source, headers = read_headers(record.headers())  # type: ignore[arg-type]  # a list always
                key, body = record.key(), record.value()
                ready.append(
                    Delivery(
                        topics[there], None if key is None else text_of(key), event_id, source, headers,
                        b"" if body is None else body, partition.slot << _SLOT | offset,
                    )
                )  # fmt: skip

    def _pass(self, end: End, epoch: int) -> None:
        partition = self.assigned.get(end.where)
        if partition is None or partition.since > epoch or partition.leaving:
            return
        if partition.pass_to(end.offset):
            self.dirty.add(partition)

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """These are done. What is of a partition that is another's by now is left to that one."""
        with self.lock:
            slots, leaving = self._slots, False
            for delivery in deliveries:
                partition = slots.get(delivery.token >> _SLOT)
                if partition is not None:
                    partition.acknowledge(delivery.token & _OFFSET)
                    partition.held -= 1
                    self.dirty.add(partition)
                    leaving = leaving or partition.leaving
            if leaving:
                self.lock.notify_all()

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """These come again first, in their order."""
        with self.lock:
            again: list[Delivery] = []
            for delivery in deliveries:
                partition = self._slots.get(delivery.token >> _SLOT)
                if partition is not None:
                    partition.held -= 1
                    if not partition.leaving:
                        again.append(delivery)
            self._waiting_bytes += sum([len(delivery.body) for delivery in again])
            self._ready = deque(sorted([*again, *self._ready], key=_token_of))
            self.lock.notify_all()

    # -- for the thread that fetches

    @property
    def full(self) -> bool:
        """Whether nothing more should be fetched."""
        return self._raw_count + len(self._ready) >= MOST_WAITING or self._waiting_bytes >= MOST_WAITING_BYTES

    def arrived(self, records: list[Record]) -> bool:
        """These were fetched. Returns whether somebody waits for them."""
        size_bytes = sum(map(len, records))
        with self.lock:
            self._raw.append((self._epoch, records))
            self._raw_count += len(records)
            self._waiting_bytes += size_bytes
            awaited, self._awaited = self._awaited, False
        return awaited

    def ended(self, where: Where, offset: int) -> bool:
        """This partition was fetched up to its end. Returns whether somebody waits, who is to look at it."""
        with self.lock:
            self._raw.append((self._epoch, End(where, offset)))
            awaited, self._awaited = self._awaited, False
        return awaited

    def assign(self, where: Where, offset: int, metadata: str | None) -> PartitionOffsets:
        """This partition is ours, and goes on where its group's last commit says."""
        with self.lock:
            self._epoch += 1
            self._last_slot += 1
            partition = PartitionOffsets(*where, self._last_slot, self._epoch)
            partition.begin(offset, metadata)
            self.assigned[where] = self._slots[partition.slot] = partition
        return partition

    def restart(self, where: Where) -> None:
        """This partition has other records than before: nothing that was fetched of it counts any more."""
        with self.lock:
            if where in self.assigned:
                self.drop([where])
                self.dirty.add(self.assign(where, OFFSET_INVALID, None))

    def leave(self, wheres: Iterable[Where]) -> None:
        """Hand nothing more out of these, because they are to be somebody else's."""
        with self.lock:
            for where in wheres:
                if where in self.assigned:
                    self.assigned[where].leaving = True
            self._forget()

    def held_of_leaving(self) -> int:
        """How many deliveries of the leaving partitions are held. With the lock."""
        return sum(partition.held for partition in self._slots.values() if partition.leaving)

    def drop(self, wheres: Iterable[Where]) -> None:
        """These are ours no more."""
        with self.lock:
            self._epoch += 1
            for where in wheres:
                partition = self.assigned.pop(where, None)
                if partition is not None:
                    partition.leaving = True
                    self._slots.pop(partition.slot, None)
                    self.dirty.discard(partition)
            self._forget()

    def close(self) -> None:
        """Nothing of it is anybody's any more."""
        self.drop(list(self.assigned))

    def _forget(self) -> None:
        """Keep only what is of partitions that stay."""
        stay = {where for where, partition in self.assigned.items() if not partition.leaving}
        slots = {self.assigned[where].slot for where in stay}
        self._ready = deque(delivery for delivery in self._ready if delivery.token >> _SLOT in slots)
        kept: list[tuple[int, list[Record] | End]] = []
        for epoch, found in self._raw:
            if isinstance(found, End):
                kept.append((epoch, found))
            elif records := [record for record in found if (record.topic(), record.partition()) in stay]:
                kept.append((epoch, records))
        self._raw = deque(kept)
        raw = [record for _, found in kept if not isinstance(found, End) for record in found]
        self._raw_count = len(raw)
        self._waiting_bytes = sum(map(len, raw)) + sum(len(delivery.body) for delivery in self._ready)

    def commits(self, wheres: Iterable[Where] | None = None) -> list[tuple[Where, int, str]]:
        """What is to be committed, of these partitions or of all; from now on it counts as committed."""
        with self.lock:
            among = None if wheres is None else set(wheres)
            due = [p for p in self.dirty if among is None or (p.topic, p.number) in among]
            self.dirty.difference_update(due)
            return [((p.topic, p.number), *p.commit()) for p in due]

    def not_committed(self, wheres: Iterable[Where]) -> None:
        """The commit of these failed: try again."""
        with self.lock:
            self.dirty.update(self.assigned[where] for where in wheres if where in self.assigned)

    def far_ahead(self, where: Where) -> bool:
        """Whether a partition is read as far beyond what is not acknowledged as can be written down."""
        with self.lock:
            return where in self.assigned and self.assigned[where].span > MOST_SPAN
