"""Who of a service's workers has which of its queues: a function of who is there, the same wherever it is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import msgspec


class Member(msgspec.Struct, frozen=True):
    """One worker as it tells of itself."""

    id: str
    topics: frozenset[str]
    queues: int
    """How many it knows of."""
    ready: bool = True
    """Whether it has taken its places in the queues that fall to it."""
    asks: bool = False
    """Whether the others shall tell of themselves, because it has just come."""
    leaves: bool = False


class Place(msgspec.Struct, frozen=True):
    """Whose a queue is, and who has it when that one is gone."""

    owner: str
    standby: str | None


def eligible(members: Iterable[Member]) -> list[str]:
    """Whose share there is: nobody who takes less than another one does, as while a new version takes over."""
    there = list(members)
    return sorted(one.id for one in there if not any(one.topics < other.topics for other in there))


def places(members: Iterable[str], queues: int) -> list[Place]:
    """For each queue its place. Nobody owns two more than another, and few queues change hands when somebody comes or
    goes.
    """
    there = sorted(set(members))
    ranked = [sorted(there, key=lambda member: _weight(member, number)) for number in range(queues)]
    owners = _owners(there, ranked)
    next_ones = {
        owner: _owners([other for other in there if other != owner], ranked) if len(there) > 1 else [None] * queues
        for owner in set(owners)
    }
    return [Place(owner, next_ones[owner][number]) for number, owner in enumerate(owners)]


def _owners(members: Sequence[str], ranked: Sequence[Sequence[str]]) -> list[str]:
    """For each queue the first in its rank who has room."""
    most, larger = divmod(len(ranked), len(members))
    held = dict.fromkeys(members, 0)
    owners: list[str] = []
    for rank in ranked:
        owner = next(one for one in rank if one in held and (held[one] < most or (held[one] == most and larger)))
        larger -= held[owner] == most
        held[owner] += 1
        owners.append(owner)
    return owners


def _weight(member: str, number: int) -> bytes:
    return blake2b(f"{number}/{member}".encode(), digest_size=8).digest()
