"""Whom to kill, and when: it follows from the seed, so that a run can be repeated. Pure."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

LONGEST_WAIT_SECONDS = 0.03


class Strike(NamedTuple):
    """One kill: `after_seconds` past the moment when `fed` invoices are handed over, the process of number `victim`.

    Number 0 is the feeder's, which is struck while it hands over the last of them.
    """

    fed: int
    victim: int
    after_seconds: float


def strikes(seed: int, kills: int, invoices: int, processes: int) -> list[Strike]:
    """Spread the kills evenly over the feeding, and the victims by chance; the feeder is one of them at least once."""
    random = Random(f"{seed} strikes")
    victims = [random.randrange(processes) for _ in range(kills)]
    if victims and 0 not in victims:
        victims[random.randrange(kills)] = 0
    return [
        Strike(number * invoices // (kills + 1), victim, random.random() * LONGEST_WAIT_SECONDS)
        for number, victim in enumerate(victims, start=1)
    ]
