"""Who wants to be told that somebody else may have committed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial


class Listeners:
    """Those who listen, told one after the other."""

    def __init__(self) -> None:
        self._wakes: dict[object, Callable[[], None]] = {}

    def __repr__(self) -> str:
        return f"<Listeners, {len(self)}>"

    def __len__(self) -> int:
        return len(self._wakes)

    def add(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Tell this one too, until what is returned is called."""
        mark = object()
        self._wakes[mark] = wake
        return partial(self._remove, mark)

    def _remove(self, mark: object) -> None:
        self._wakes.pop(mark, None)

    def clear(self) -> None:
        """Nobody listens any more: there is nothing to hear."""
        self._wakes.clear()

    def tell(self) -> None:
        """Tell everybody who listens now."""
        for wake in tuple(self._wakes.values()):
            wake()
