"""What the client library says again and again is logged now and then, with how many lines were not.

While no server answers, each of its clients logs dozens of errors a second, which differ in a number at most.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable

EVERY_SECONDS = 30.0
"""How often lines of one kind are let through."""
MOST_KINDS = 1000
"""How many kinds are remembered before those are forgotten that would be let through anyway."""
LIBRARY = "%s [%s] %s"
"""How the library logs: its name for what happened, the client, and a text."""
_NUMBER = re.compile(r"\d+")
_SUPPRESSED = re.compile(r",? ?\d+ identical error\(s\) suppressed")

Kind = tuple[str, str]


class Repeats(logging.Filter):
    """Lets one warning or error of a kind through in a while. Clients log from threads of their own.

    Of one kind are lines of the library with the same client and the same text but for numbers, and lines of minuet's
    own that are the same. `clock` counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Kind, tuple[float, int]] = {}
        """Until when a kind is held back, and how many lines of it were."""

    def __repr__(self) -> str:
        return f"<Repeats of {len(self._kinds)} kinds>"

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it; what is logged says how many like it were not."""
        if record.levelno < logging.WARNING:
            return True
        kind, now = kind_of(record), self._clock()
        with self._lock:
            until, held = self._kinds.get(kind, (now, 0))
            if now < until:
                self._kinds[kind] = until, held + 1
                return False
            if len(self._kinds) >= MOST_KINDS:
                self._kinds = {each: seen for each, seen in self._kinds.items() if now < seen[0]}
            self._kinds[kind] = now + EVERY_SECONDS, 0
        if held:
            record.msg = f"{record.getMessage()} ({held} like it since the last one were not logged)"
            record.args = ()
        return True


def kind_of(record: logging.LogRecord) -> Kind:
    """Who says it, empty for minuet itself, and what."""
    if record.msg != LIBRARY or not isinstance(record.args, tuple) or len(record.args) != 3:
        return "", record.getMessage()
    what, client, text = map(str, record.args)
    return client, f"{what} {_NUMBER.sub('', _SUPPRESSED.sub('', text))}"
