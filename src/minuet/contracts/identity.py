"""Event ids: ordered by time for what begins, derived from the cause for what follows. Pure functions."""

import re
from hashlib import blake2b

_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class Derivation:
    """The ids of what one reaction emits, each derived from its cause.

    A UUIDv8 (RFC 9562): the first 48 bits are those of the cause's id where that is a UUID, so that an instance's
    ids stand together in an index, else of its hash; 74 of the others are a BLAKE2b of service, reaction, ordinal and
    cause, each told apart from the next by its length or a colon, so that different arguments never read the same.
    """

    __slots__ = ("_named",)

    def __init__(self, service: str, reaction: str) -> None:
        named = f"{len(service)}:{service}{len(reaction)}:{reaction}"
        self._named = blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16)

    def derive(self, cause_id: str, ordinal: int) -> str:
        """The id of the `ordinal`-th event emitted in answer to the event `cause_id`."""
        named = self._named.copy()
        named.update(f"{ordinal}:{cause_id}".encode("utf-8", "surrogatepass"))
        digest = named.hexdigest()
        start = cause_id if _UUID(cause_id) is not None else _start_of(cause_id)
        return f"{start[:13]}-8{digest[1:4]}-{_VARIANT[digest[0]]}{digest[4:7]}-{digest[7:19]}"


def derive(cause_id: str, service: str, reaction: str, ordinal: int) -> str:
    """The id of the `ordinal`-th event that a reaction emits in answer to the event `cause_id`, see `Derivation`."""
    return Derivation(service, reaction).derive(cause_id, ordinal)


def _start_of(cause_id: str) -> str:
    if _UUID(cause_id.lower()) is not None:
        return cause_id.lower()
    hashed = blake2b(cause_id.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{hashed[:8]}-{hashed[8:]}"


def new(now_ms: int, entropy: bytes) -> str:
    """A UUIDv7 (RFC 9562) of a Unix time in milliseconds and at least 10 bytes of chance."""
    if len(entropy) < 10:
        raise ValueError(f"A new id needs 10 bytes of entropy and got {len(entropy)}.")
    chance = entropy[:10].hex()
    time = f"{now_ms & 0xFFFFFFFFFFFF:012x}"
    variant = "89ab"[entropy[0] >> 6]
    return f"{time[:8]}-{time[8:]}-7{chance[2:5]}-{variant}{chance[5:8]}-{chance[8:20]}"
