"""The store port: where a service's state, inbox, outbox, parked deliveries and dead letters live.

A store keeps these clauses, which `minuet.testing.conformance` checks under the same ids:

- S01 All that a unit wrote is there after its commit, and none of it after an error or a kill before.
- S02 `undo` takes back what was written since `mark`, and nothing else.
- S03 The inbox remembers (consumer, source, event id) once; ids of two consumers or two sources never collide.
  Names that others chose (ids, sources, keys, instances) may be of any length; what a store shows of a long one may be
  shorter.
- S04 Two units that remember the same identity at the same time: one of them finds it seen.
- S05 The outbox gives back what was owed in the order of its owing, no more at a time than is asked for, and never
  what is done or not committed.
- S06 Two relays never hold the same outbox row at a time; a dead relay's rows come free at once, a living one's when
  its lease ends, and with that claim they can be neither paid nor given back any more.
- S07 A parked delivery falls due at its instant, not before, also in another process and after a restart.
- S08 Of one consumer and key only the oldest unsettled delivery is ever due; when it is settled, the next one is.
- S09 What a process was running when it died is due again, and the attempt counts; it is not that process's own any
  more, should it live after all.
- S10 A running delivery is never given to a second process while its owner lives.
- S11 A dead letter keeps reason, error, trace, every attempt and the original bytes until it is resolved.
- S12 A redriven dead letter goes to its consumer alone, under its own id, and twice is once.
- S13 With hold, later deliveries of the key wait until the dead letter is redriven and handled, or discarded.
- S14 Trimming forgets what is older than its bound and settled, never what an open dead letter or parked delivery
  needs.
- S15 A reader sees committed rows only.
- S16 What is written survives closing and opening anew (`persistent`).
- S17 `parked`, `owed`, `survey_dead_letters` and `examine` show what is committed and change nothing.
- S18 A `Transaction` binds `?` and `:name`, counts the rows it changed, fills scalars, Structs, dataclasses and
  TypedDicts by column name, and is over with its unit.
- S19 With `native`, what is written to an adopted unit commits and rolls back with its caller's transaction; what is
  no connection of this store is refused.
- S20 With `shared`, what a process commits and wakes others for wakes those who `listen` in other processes, until
  they end that.
- S21 `owned` tells all that a process runs of a consumer, as the store knows it.
- S22 With `holds`, what a unit owes held is given to nobody while its holder lives and its lease lasts, nor what is
  owed after it of its key; and of a key of which something else is owed, nothing is held.
- S23 Of units that ask to be `one_at_a_time`, in whatever process, one goes on when the one before has ended, and sees
  what it committed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

import msgspec

from minuet.ports.deliveries import (
    CLAIM_BYTES,
    LEASE_SECONDS,
    Attempt,
    DeadLetter,
    DeadLetterFilter,
    DeadLetterHead,
    Owed,
    Parked,
    ParkedFilter,
    Standing,
)
from minuet.ports.examined import Examined
from minuet.ports.inbox import Inbox
from minuet.ports.outbox import HoldingOutbox, Outbox
from minuet.ports.parking import Parking
from minuet.ports.transaction import Parameters, Transaction

__all__ = [
    "ABSORBED",
    "CLAIM_BYTES",
    "LEASE_SECONDS",
    "Attempt",
    "Counters",
    "DeadLetter",
    "DeadLetterFilter",
    "DeadLetterHead",
    "DeadLetters",
    "Emission",
    "Examined",
    "HoldingOutbox",
    "Inbox",
    "Outbox",
    "Owed",
    "Parameters",
    "Parked",
    "ParkedFilter",
    "Parking",
    "Standing",
    "Store",
    "StoreCapabilities",
    "Transaction",
    "Unit",
]


class DeadLetters(Protocol):
    """Deliveries given up on, with all that is known of them."""

    async def bury(self, letter: DeadLetter, *, hold: Parked | None = None) -> int:
        """Keep a letter and return its number. One whose `id` is not 0 was redriven and died again: it is the same
        letter. With `hold`, that delivery goes on blocking its key.
        """
        ...

    async def find(self, ids: Sequence[int]) -> list[DeadLetter]:
        """These letters, those that there are."""
        ...

    async def redrive(self, letter: DeadLetter, now: float) -> bool:
        """Hand an open letter back to its consumer, with the body and difference given. False: it was not open."""
        ...

    async def discard(self, letter: DeadLetter, now: float) -> bool:
        """Give it up for good; what waited behind it goes on. False: it was not open."""
        ...


ABSORBED = "duplicates_absorbed"
"""The count of what a log or an inbox had before."""


class Counters(Protocol):
    """Durable counts of what is rare: retries, duplicates, dead letters."""

    async def add(self, service: str, name: str, count: int) -> None:
        """Add to a count, as part of the transaction."""
        ...


class Emission(Protocol):
    """A transaction in which events are emitted: one of the store's, or a user's own."""

    @property
    def native(self) -> object:
        """The connection, in this transaction."""
        ...

    @property
    def outbox(self) -> Outbox: ...

    def wake_others(self) -> None:
        """Once it is durable, let other processes look at what this transaction did."""
        ...

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call this once the transaction is durable; never after a rollback, nor for a user's own transaction."""
        ...


class Unit(Emission, Protocol):
    """One transaction of a store, as the runtime sees it."""

    @property
    def outbox(self) -> HoldingOutbox: ...

    @property
    def transaction(self) -> Transaction:
        """What a reaction is given."""
        ...

    @property
    def inbox(self) -> Inbox: ...

    @property
    def parking(self) -> Parking: ...

    @property
    def dead_letters(self) -> DeadLetters: ...

    @property
    def counters(self) -> Counters: ...

    async def one_at_a_time(self) -> None:
        """Wait until no other unit that asked this is under way, in this process or another; until this one ends, none
        will be. What those before it committed is seen from here on. Asked before anything else.
        """
        ...

    async def mark(self) -> None:
        """Remember this moment: a savepoint."""
        ...

    async def keep(self) -> None:
        """Forget the mark and keep what was written since."""
        ...

    async def undo(self) -> None:
        """Take back what was written since the mark."""
        ...

    @property
    def turns_ahead(self) -> int:
        """How many turns may run behind one mark, between `run_ahead` and `caught_up`; they are undone together, and
        then done again one by one. More saves marks, and costs more when a turn among them fails. 0: each has its own.
        """
        ...

    @property
    def answers_ahead(self) -> bool:
        """Whether statements are asked when they are called: then running ahead spares waiting, also for a single turn,
        and what `Parking.park` returns may be awaited after the commit. Otherwise it spares only marks.
        """
        ...

    def run_ahead(self) -> None:
        """From here to `caught_up`, `Transaction.execute` may answer with what the statement has always answered,
        before it is performed.
        """
        ...

    async def caught_up(self) -> bool:
        """Perform what was answered before it was performed. False: a statement was refused, an answer was wrong, or a
        turn did what concerns its neighbours; all since the mark is then to be undone, and done again one by one.
        """
        ...

    def keep_ahead(self) -> bool:
        """Keep what was written since the mark before it is known whether all of it was right: `caught_up` says so
        before the commit, or the commit itself where it `commit_proves`; what was wrong is undone with the whole unit.
        False: catch up first.
        """
        ...

    @property
    def commit_proves(self) -> bool:
        """Whether the commit raises `OutOfStep`, and writes nothing, should anything that was kept ahead be wrong, so
        that nobody need ask `caught_up`. Asked after the last turn, before the round's own writes.
        """
        ...


class StoreCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a store can and cannot do."""

    persistent: bool
    """Whether rows survive the end of every process."""
    shared: bool
    """Whether several processes may use it at once."""
    holds: bool
    """Whether what is owed may be held by its process from its birth, so that a relay need not claim it."""
    native: tuple[str, ...]
    """Qualified names of the connection types that a reaction may take. `emit(tx=...)` accepts more; see `adopt`."""


class Store(Protocol):
    """Keeps what services know. The clauses are at the top of this file."""

    capabilities: ClassVar[StoreCapabilities]

    @property
    def database(self) -> object:
        """What a broker that lives in the same database may share."""
        ...

    async def open(self, *, create: bool = True) -> None:
        """Connect and bring the schema up to date; `StoreUnavailable` says in prose why that is not possible.

        Without `create`, a place that minuet has never used is refused and left as it is.
        """
        ...

    async def close(self) -> None:
        """Disconnect. What this process was running comes free."""
        ...

    # -- asked by a lane, and whoever emits

    def transaction(self, *, alone: bool = False) -> AbstractAsyncContextManager[Unit]:
        """A transaction: durable when its block has ended, rolled back when it raises. A store may commit several that
        queue at the same time as one, unless one is `alone`: it may take long, and others should not wait for it.
        """
        ...

    async def adopt(self, native: Any, *, sync: bool = False) -> Emission:
        """The caller's own transaction on `native`, a driver's connection or a session around one; the caller commits.

        With `sync` nobody can wait: it returns without a pause, and so does all that is then written. It may be called
        from any thread, and after a `close`. `StoreUnavailable` when `native` is to another database, is on no
        transaction, is awaited although `sync`, or is none of the types that are known; nothing is written then.
        """
        ...

    async def next_due(self, consumer: str) -> float | None:
        """When the consumer's next parked delivery falls due; None when none waits."""
        ...

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call this whenever another process, or an operator, may have changed something here. Returns how to end
        that.
        """
        ...

    # -- asked by the relay

    async def claim_owed(
        self,
        limit: int,
        *,
        lease_seconds: float = LEASE_SECONDS,
        without: Collection[str] = (),
        limit_bytes: int = CLAIM_BYTES,
    ) -> list[Owed]:
        """Hold the oldest outbox rows for publishing, but for those of some topics: at most `limit`, and no more once
        their bodies come to `limit_bytes`. Those of a dead process are free again, and those whose lease has ended;
        behind what another has claimed nothing is given, and behind what is held from its birth nothing of its key.
        """
        ...

    async def paid(self, owed: Sequence[Owed]) -> None:
        """These are published, those that are still held by the claim they came with."""
        ...

    async def unclaim(self, owed: Sequence[Owed]) -> None:
        """These could not be published now; they keep their place. Not those that another holds meanwhile."""
        ...

    # -- asked by housekeeping

    async def reclaim(self, now: float) -> int:
        """Make due again what processes that no longer live were running, where the attempt counts, and free the
        outbox rows that they held. Returns how many.
        """
        ...

    async def unsettled(self) -> frozenset[str]:
        """The ids of the events that an open dead letter or an unsettled parked delivery is about."""
        ...

    async def trim(self, before: float) -> int:
        """Forget settled rows older than this instant, in bounded steps. Returns how many."""
        ...

    # -- the choreography that has run here

    async def keep_manifest(self, service: str, manifest: str) -> None:
        """Keep a service's manifest (JSON), so that the store alone can be read by `trace`, `graph` and `dlq`."""
        ...

    async def manifests(self) -> dict[str, str]:
        """The manifests of the services that have run on this store."""
        ...

    # -- asked by whoever looks on; these change nothing

    async def list_dead_letters(self, which: DeadLetterFilter, limit: int = 1000) -> list[DeadLetter]:
        """Dead letters, oldest first."""
        ...

    async def survey_dead_letters(self, which: DeadLetterFilter) -> list[DeadLetterHead]:
        """All dead letters that match, oldest first, without what makes them long."""
        ...

    async def waiting_behind(self, letter: DeadLetter) -> int:
        """How many deliveries of its consumer and key wait."""
        ...

    async def parked(self, which: ParkedFilter, limit: int = 1000) -> list[Standing]:
        """Parked deliveries as they stand, oldest first."""
        ...

    async def owed(self, limit: int = 1000) -> list[Owed]:
        """The oldest outbox rows, whoever holds them. Holds none."""
        ...

    async def counts(self) -> dict[str, dict[str, int]]:
        """The durable counts, by service and name."""
        ...

    async def examine(self) -> list[Examined]:
        """What the store finds when it looks at itself: versions, modes, integrity. May take as long as reading all
        of it.
        """
        ...
