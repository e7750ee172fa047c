"""Event ids: ordered by time for what begins, derived from the cause for what follows. Pure functions."""

import re
from hashlib import blake2b

_UUID_START = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def derive(cause_id: str, service: str, reaction: str, ordinal: int) -> str:
    """The id of the `ordinal`-th event that a reaction emits in answer to the event `cause_id`.

    A UUIDv8 (RFC 9562): the first 48 bits are those of the cause's id where that is a UUID, so that an instance's
    ids stand together in an index, else of its hash; 74 of the others are a BLAKE2b of all four arguments, each
    preceded by its length, so that different arguments never read the same.
    """
    named = f"{len(cause_id)}:{cause_id}{len(service)}:{service}{len(reaction)}:{reaction}{ordinal}"
    digest = blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    start = cause_id.lower()
    if _UUID_START(start) is None:
        hashed = blake2b(cause_id.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        start = f"{hashed[:8]}-{hashed[8:]}"
    variant = "89ab"[int(digest[0], 16) & 3]
    return f"{start[:13]}-8{digest[1:4]}-{variant}{digest[4:7]}-{digest[7:19]}"


def new(now_ms: int, entropy: bytes) -> str:
    """A UUIDv7 (RFC 9562) of a Unix time in milliseconds and at least 10 bytes of chance."""
    if len(entropy) < 10:
        raise ValueError(f"A new id needs 10 bytes of entropy and got {len(entropy)}.")
    chance = entropy[:10].hex()
    time = f"{now_ms & 0xFFFFFFFFFFFF:012x}"
    variant = "89ab"[entropy[0] >> 6]
    return f"{time[:8]}-{time[8:]}-7{chance[2:5]}-{variant}{chance[5:8]}-{chance[8:20]}"
