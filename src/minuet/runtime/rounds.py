"""What a lane has learned of its rounds: how many deliveries one takes, how many turns share a mark, what is suspected.

Rules over numbers; nothing here waits, writes or reads a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from minuet.errors import TransactionLost
from minuet.ports.broker import size_bytes_of

BATCH = 256
"""How many deliveries share a commit at most."""
ROUND_SECONDS = 0.25
"""How long a round's turns should take at most. A transaction that is open for long keeps others from their events
where broker and store are one database."""
ROUND_BYTES = 8 * 1024 * 1024
"""How much the bodies of a round should come to, give or take what their sizes differ; all of it is in memory."""
SLOW_SECONDS = 0.02
"""A round that took longer lets no other lane share its commit the next time."""
MOST_CAUTION = 256
"""After how many turns by themselves, at most, several are tried again behind one mark."""

Subject = TypeVar("Subject")


class Weighed(Protocol):
    """Whatever has a body that is in memory."""

    @property
    def body(self) -> str | bytes: ...


class RoundSize:
    """How many deliveries the next round takes: as many as are over soon and fit into memory, and one while nobody
    knows.
    """

    def __init__(self, most: int = 1) -> None:
        self._most_in_time = most
        self._most_in_memory = BATCH
        self.slow = False

    def __repr__(self) -> str:
        return f"<RoundSize {self.most}{', slow' if self.slow else ''}>"

    @property
    def most(self) -> int:
        """So many deliveries."""
        return min(self._most_in_time, self._most_in_memory)

    def took(self, taken: Sequence[Weighed]) -> None:
        """A round took these."""
        if taken:
            usual_bytes = sum([size_bytes_of(each.body) for each in taken]) // len(taken)
            self._most_in_memory = max(1, min(BATCH, ROUND_BYTES // max(1, usual_bytes)))

    def ran(self, seconds: float) -> None:
        """The turns of a round of at most so many took so long."""
        if seconds <= ROUND_SECONDS / 2:
            self._most_in_time = min(BATCH, self.most * 2)
        elif seconds > ROUND_SECONDS:
            self._most_in_time = max(1, int(self.most * ROUND_SECONDS / seconds))

    def lasted(self, seconds: float) -> None:
        """All of a round took so long."""
        self.slow = seconds > SLOW_SECONDS


class SharedMark:
    """How many turns may run behind one mark: fewer where they were wrong to, for a while."""

    def __init__(self) -> None:
        self._caution = 1
        """How many turns run by themselves after one among several was wrong."""
        self._alone = 0
        """How many of those are left."""

    def __repr__(self) -> str:
        return f"<SharedMark, {self._alone} by themselves first>"

    def turns(self, store_most: int) -> int:
        """How many may now, where the store lets so many; 0: each has a mark of its own."""
        if self._alone > 0:
            self._alone -= 1
            return 0
        return store_most

    def right(self) -> None:
        """Several were, and nothing was wrong."""
        self._caution = max(self._caution // 2, 1)

    def wrong(self) -> None:
        """One among several was wrong, and all were undone."""
        self._caution = min(2 * self._caution, MOST_CAUTION)
        self._alone = self._caution

    def lost(self) -> None:
        """One among several took the whole transaction back: each by itself, so that the one who did it is found."""
        self._alone = MOST_CAUTION


class Suspicion(Generic[Subject]):
    """Of those whose shared commit was refused one is to blame: each is committed by itself until that one is found."""

    def __init__(self) -> None:
        self._left = 0
        """How many are to be committed by themselves."""
        self._guilty: dict[Subject, TransactionLost] = {}

    def __bool__(self) -> bool:
        return self._left > 0

    def __repr__(self) -> str:
        return f"<Suspicion of {self._left}, {len(self._guilty)} guilty>"

    @property
    def found(self) -> bool:
        """Whether somebody is known to be guilty, and was not met since."""
        return bool(self._guilty)

    def refused(self, subjects: Sequence[Subject], error: TransactionLost) -> None:
        """The commit that these shared was refused."""
        if self._left and len(subjects) == 1:
            self._guilty[subjects[0]] = error
        self._left = max(len(subjects), 1)

    def blame(self, subject: Subject, error: TransactionLost) -> None:
        """This one took back the transaction that its neighbours shared. It has failed, and is not run again for it."""
        self._guilty[subject] = error

    def of(self, subject: Subject) -> TransactionLost | None:
        """What this one failed with, told once."""
        return self._guilty.pop(subject, None) if self._guilty else None

    def committed(self) -> None:
        """A round is committed. With nobody suspected, whoever is guilty and was not met is elsewhere."""
        self._left = max(self._left - 1, 0)
        if not self._left:
            self._guilty.clear()
