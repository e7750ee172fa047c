"""A set of dead letters, frozen: what was looked at is what is acted on, however the filter would answer later."""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from minuet.ports.store import DeadLetterHead


class Selection(msgspec.Struct, frozen=True):
    """Dead letters by number, in the order of their dying, and a hash over them."""

    ids: tuple[int, ...]
    hash: str
    """12 hexadecimal digits: the same for the same letters in the same condition, whoever computes it."""

    def __len__(self) -> int:
        return len(self.ids)


def freeze(letters: Iterable[DeadLetterHead]) -> Selection:
    """These letters as a selection. A letter that died again, or was resolved, changes the hash."""
    ordered = sorted(letters, key=lambda letter: letter.id)
    conditions = [(one.id, one.consumer, one.event_id, one.reason, one.state, one.at) for one in ordered]
    digest = blake2b(msgspec.json.encode(conditions), digest_size=6).hexdigest()
    return Selection(tuple(letter.id for letter in ordered), digest)
