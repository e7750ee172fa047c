"""What of one partition is acknowledged, in any order, and how that is written down as one offset and a few bytes.

Kafka keeps one offset for a group and partition: everything before it is done. What is done beyond it stands in the
metadata of that commit as a bitmap, so that nothing that was acknowledged comes again, whoever has the partition next.
Offsets that hold nothing for a consumer (ends of transactions, what was aborted, what compaction took away) are done
once the partition is read beyond them, by a record or by its end.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

MARK = "minuet1:"
"""What metadata of ours begins with."""
MOST_METADATA_BYTES = 4096
"""What a broker takes unless it was told otherwise (offset.metadata.max.bytes)."""
MOST_BITS = (MOST_METADATA_BYTES - len(MARK)) // 4 * 3 * 8
"""How far beyond the committed offset anything acknowledged can be written down: 24,528 messages."""


class PartitionOffsets:
    """One partition from its assignment to its end: what was fetched, what of it is open, what is done beyond that.

    `start` is the offset to begin with, None for the beginning of the partition.
    """

    __slots__ = ("_done", "_top", "held", "leaving", "next", "number", "open", "since", "slot", "start", "topic")

    def __init__(self, topic: str, number: int, slot: int, since: int) -> None:
        self.topic = topic
        """Kafka's name of it."""
        self.number = number
        self.slot = slot
        """Which assignment this is; no two of a process have one number."""
        self.since = since
        """The epoch in which it began."""
        self.start: int | None = None
        self.open: dict[int, None] = {}
        """Fetched and not acknowledged, in the order of the partition."""
        self.next = 0
        """What has yet to be fetched begins here, or later."""
        self.held = 0
        """How many of the open ones a subscription holds."""
        self.leaving = False
        """Whether it is about to be somebody else's."""
        self._done: set[int] = set()
        """Acknowledged before this assignment, and not fetched in it yet."""
        self._top = -1
        """The last offset that is acknowledged, or holds nothing."""

    def __repr__(self) -> str:
        return f"<PartitionOffsets {self.topic}/{self.number} at {self.next}, {len(self.open)} open>"

    def begin(self, offset: int, metadata: str | None) -> None:
        """Go on where the group's last commit says, if there is one."""
        if offset < 0:
            return
        self.start = self.next = offset
        self._done = acknowledged_in(offset, metadata)
        self._top = max(self._done, default=-1)

    def fetched(self, offset: int) -> bool:
        """The next record is here. Returns whether it is to be handled: not when it was before."""
        if offset < self.next:
            return False
        if offset > self.next:
            self.pass_to(offset)
        self.next = offset + 1
        if self._done and offset in self._done:
            self._done.discard(offset)
            return False
        self.open[offset] = None
        return True

    def pass_to(self, offset: int) -> bool:
        """What is before this offset and was not fetched holds nothing. Returns whether there is any of it."""
        if offset <= self.next:
            return False
        self.next = offset
        self._top = max(self._top, offset - 1)
        return True

    def acknowledge(self, offset: int) -> None:
        """This one is done."""
        if offset in self.open:
            del self.open[offset]
            self._top = max(self._top, offset)

    @property
    def watermark(self) -> int:
        """Everything before this offset is done."""
        return next(iter(self.open), self.next)

    @property
    def span(self) -> int:
        """How many offsets lie between what is done and what was fetched."""
        return self.next - self.watermark

    def commit(self) -> tuple[int, str]:
        """The offset and the metadata that say what is done."""
        watermark = self.watermark
        self._done = {offset for offset in self._done if offset >= self.next}
        bits = min(self._top - watermark + 1, MOST_BITS)
        if bits <= 0:
            return watermark, ""
        known = max(0, min(self.next - watermark, bits))
        octets = bytearray(b"\xff" * (known // 8) + bytes([(1 << known % 8) - 1]) + bytes(bits // 8 - known // 8))
        for offset in self.open:
            place = offset - watermark
            if place >= bits:
                break
            octets[place >> 3] &= ~(1 << (place & 7))
        for offset in self._done:
            place = offset - watermark
            if place < bits:
                octets[place >> 3] |= 1 << (place & 7)
        return watermark, MARK + b64encode(bytes(octets[: (bits + 7) // 8])).decode()


def acknowledged_in(offset: int, metadata: str | None) -> set[int]:
    """The offsets from `offset` on that a commit's metadata says are done; none in metadata of another's."""
    if not metadata or not metadata.startswith(MARK):
        return set()
    try:
        octets = b64decode(metadata[len(MARK) :], validate=True)
    except ValueError:
        return set()
    return {offset + place * 8 + bit for place, octet in enumerate(octets) for bit in range(8) if octet >> bit & 1}
