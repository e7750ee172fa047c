"""What goes out in one window, so that nothing overtakes what the server refuses.

A window is written before its first confirm comes. A queue that is full refuses one message of it and takes a later one
when somebody has emptied it meanwhile, which cannot be taken back. So the topic of a refused message is published with
care for a while: each key once a window. Always to do so would cost a key of which there is much a confirm for each of
its messages; decision 15 has the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from minuet.errors import MessagesRefused
from minuet.ports.broker import Message

CARE_SECONDS = 600.0
"""How long a topic is published with care after its last refusal."""


class Caution:
    """The topics of which a message was refused lately, by the loop's time."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def begin(self, topics: Iterable[str], now: float) -> None:
        """These were refused something."""
        self._until.update(dict.fromkeys(topics, now + CARE_SECONDS))

    def windows(self, messages: Sequence[Message], now: float) -> list[Sequence[int]]:
        """The places of these messages in a batch, window by window."""
        careful = {topic for topic, until in self._until.items() if until > now}
        if not careful:
            return [range(len(messages))]
        before = Counter[tuple[str, str]]()
        windows: list[list[int]] = []
        for place, message in enumerate(messages):
            window = 0
            if message.key is not None and message.topic in careful:
                window = before[message.topic, message.key]
                before[message.topic, message.key] += 1
            if window == len(windows):
                windows.append([])
            windows[window].append(place)
        return list[Sequence[int]](windows)


class Tried:
    """What has become of a batch so far."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self._behind: set[tuple[str, str]] = set()
        """Topic and key of what was refused: nothing more of these is tried."""
        self._taken: list[int] = []
        self._refused: list[int] = []
        self._overtaken: set[str] = set()

    def allowed(self, window: Sequence[int]) -> Sequence[int]:
        """Those of a window that stand behind nothing that was refused."""
        return [place for place in window if self._order(place) not in self._behind] if self._behind else window

    def note(self, window: Sequence[int], refused: Collection[int]) -> None:
        """A window of what is allowed was published, and of its places these were refused."""
        if not refused:
            self._taken += window
            return
        for place in window:
            if place in refused:
                self._refused.append(place)
                if (order := self._order(place)) is not None:
                    self._behind.add(order)
            else:
                self._taken.append(place)
                if self._order(place) in self._behind:
                    self._overtaken.add(self._messages[place].topic)

    def raise_if_not_all(self, who: str, reasons: str) -> None:
        """Raise MessagesRefused unless all was taken. `reasons` are sentences about what was refused."""
        if len(self._taken) == len(self._messages):
            return
        refused, taken = tuple(sorted(self._refused)), tuple(sorted(self._taken))
        topics = ", ".join(sorted({self._messages[place].topic for place in refused}))
        told = f"{who} refused {len(refused)} of {len(self._messages)} messages, on {topics}. {reasons}"
        if not refused:
            told = f"{who} is so slow that {len(self._messages) - len(taken)} messages were not tried in time."
        if self._overtaken:
            told += (
                f" On {', '.join(sorted(self._overtaken))} a later message of the same key was taken while one was "
                "refused, and is ahead of it now."
            )
        raise MessagesRefused(told, refused, taken)

    def _order(self, place: int) -> tuple[str, str] | None:
        message = self._messages[place]
        return None if message.key is None else (message.topic, message.key)
