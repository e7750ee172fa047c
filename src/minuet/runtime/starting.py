"""What an app may meet before it consumes: a server that is not there yet, a broker that is not as it must be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Protocol

from minuet.errors import BrokerUnavailable, NeverUsed, StartupError, StoreUnavailable
from minuet.policies.retry import Retry
from minuet.ports.broker import Broker, Change, Group
from minuet.ports.clock import Chance
from minuet.runtime.observing import Observers

AGAIN = Retry(times=1_000_000, first_seconds=0.25, most_seconds=5.0)
"""When to try a server again; the retry that is immediate is left out."""


class Starting(Protocol):
    """Told of what an app meets while it starts."""

    def unavailable(self, error: BrokerUnavailable | StoreUnavailable, again_seconds: float) -> None:
        """A server does not let us in; it is asked again after so long."""
        ...

    def provisioning(self, changes: Sequence[Change]) -> None:
        """This is about to be changed; what is refused is not, and ends the start."""
        ...


class ObservedStart:
    """Tells observers of a start that waits."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers

    def unavailable(self, error: BrokerUnavailable | StoreUnavailable, again_seconds: float) -> None:
        self._observers.trouble(f"starting (again in {again_seconds:.1f} s)", error)

    def provisioning(self, changes: Sequence[Change]) -> None:
        """Who starts an app from Python and wants to know asks for the plan."""


class Patience:
    """Opens adapters, again and again until a limit that they share, while their servers are not available."""

    def __init__(self, wait_seconds: float, chance: Chance, starting: Starting) -> None:
        self._ends = asyncio.get_running_loop().time() + wait_seconds
        self._chance = chance
        self._starting = starting

    async def until(self, opens: Callable[[], Awaitable[None]]) -> None:
        """Open one. Raises what the last attempt raised: BrokerUnavailable or StoreUnavailable."""
        for attempt in count(2):
            try:
                return await opens()
            except NeverUsed:
                raise
            except (BrokerUnavailable, StoreUnavailable) as error:
                left_seconds = self._ends - asyncio.get_running_loop().time()
                if left_seconds <= 0:
                    raise
                pause_seconds = min(AGAIN.delay(attempt, self._chance.random()) or 0.0, left_seconds)
                self._starting.unavailable(error, pause_seconds)
            await asyncio.sleep(pause_seconds)
        return None


async def provision(broker: Broker, groups: Sequence[Group], where: str, starting: Starting, *, allowed: bool) -> None:
    """Make what the groups need, where that is a matter of course or `allowed`.

    Raises StartupError, with nothing changed, for a broker that is not as it must be and that nobody allowed to change.
    """
    if broker.capabilities.provisioned == "on_request" and (planned := await broker.plan(groups)):
        if not allowed:
            raise StartupError(
                f"{where} is not as these services need it:\n{listed(planned)}\nNothing was changed. "
                f"{_what_helps(planned)}"
            )
        starting.provisioning(planned)
    await broker.provision(groups)


def listed(changes: Sequence[Change]) -> str:
    """Changes under each other, for people."""
    return "\n".join(f"  {told(change)}" for change in changes)


def told(change: Change) -> str:
    """One change, as a line."""
    line = f"{change.what}: {change.how}"
    return line if change.refused is None else f"{line}\n    not by minuet: {change.refused}"


def _what_helps(planned: Sequence[Change]) -> str:
    if any(change.refused is not None for change in planned):
        return "See to what minuet leaves to you; `minuet run --provision`, or App(provision=True), then does the rest."
    return "`minuet run --provision`, or App(provision=True), does it."
