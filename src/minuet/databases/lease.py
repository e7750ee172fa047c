"""Who holds a row of the outbox, and until when: what stands in its owner column.

A dead holder is known at once, by its database. The lease is for one that lives and does not move: stopped, swapped
out, cut off. Each claim has a number of its own, so that who comes back after its lease can neither mark nor give back
what another holds now, nor what it holds itself by a later claim.
"""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """A claim as it is written in a row."""

    member: str
    """The process, as its database names it."""
    number: str = ""
    """Tells a process's claims apart."""
    until: float = float("inf")
    """When the lease ends, seconds since 1970 UTC. Claims of versions before leases have none."""

    def __str__(self) -> str:
        return f"{self.member}:{self.number}:{self.until!r}"


def claim_of(owner: str) -> Claim:
    """The claim that an owner column holds."""
    member, _, rest = owner.partition(":")
    number, _, until = rest.partition(":")
    return Claim(member, number, float(until)) if until else Claim(member)
