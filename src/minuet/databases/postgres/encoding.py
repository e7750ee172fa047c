"""Values on their way to PostgreSQL: as text whose type the server infers, or as arrays of many rows' values."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from hashlib import sha256

from psycopg.adapt import PyFormat, Transformer

from minuet.contracts.attributes import LONGEST_BYTES
from minuet.errors import StoreUnavailable

TEXT, BYTEA, INT8, FLOAT8 = 25, 17, 20, 701
"""The server's numbers for the types of array items."""
_NULL = b"\xff\xff\xff\xff"
_ESCAPE = "\ufdd0"
"""PostgreSQL keeps no NUL in a text, and minuet's names may have one. A character that Unicode gives to nobody stands
for it in minuet's own tables."""
_SHORT = LONGEST_BYTES // 6
"""So many characters are not too long, even if each is half of a surrogate pair, spelled out."""
_BEGINNING = 100
"""How many characters are left of a name that is too long."""


class Ready(bytes):
    """A value in the server's own binary form."""

    __slots__ = ()


Encoded = tuple[bytes | None, int]
"""A value, and 1 when it is in binary form."""


def encoded(value: object) -> Encoded:
    """One value for a placeholder. A bool is 1 or 0, which booleans and numbers take; bytes are bytes.

    Raises StoreUnavailable for a text with a NUL.
    """
    kind = type(value)
    if kind is str:
        assert isinstance(value, str)
        if "\0" in value:
            raise StoreUnavailable(f"PostgreSQL keeps no NUL in a text, and {value!r} has one. Keep it as bytes.")
        return value.encode(), 0
    if value is None:
        return None, 0
    if kind is int:
        return str(value).encode(), 0
    if isinstance(value, bytes):
        return value, 1
    if isinstance(value, bool):
        return b"1" if value else b"0", 0
    if kind is float:
        return repr(value).encode(), 0
    dumped = Transformer().get_dumper(value, PyFormat.TEXT).dump(value)
    return (None if dumped is None else bytes(dumped)), 0


def texts(values: Iterable[str | None]) -> Ready:
    """A text[]; the items are minuet's own, and may have a NUL."""
    return _array(TEXT, [None if value is None else kept(value).encode(errors="backslashreplace") for value in values])


def octets(values: Iterable[bytes | None]) -> Ready:
    """A bytea[]."""
    return _array(BYTEA, list(values))


def _array(kind: int, items: Sequence[bytes | None]) -> Ready:
    parts = [struct.pack("!iiiii", 1, 1, kind, len(items), 1)] if items else [struct.pack("!iii", 0, 0, kind)]
    size = struct.Struct("!i").pack
    for item in items:
        if item is None:
            parts.append(_NULL)
        else:
            parts += (size(len(item)), item)
    return Ready(b"".join(parts))


def numbers(values: Sequence[int]) -> Ready:
    """A bigint[]."""
    return _fixed(INT8, "q", values)


def floats(values: Sequence[float | None]) -> Ready:
    """A double precision[]."""
    if None in values:
        return _array(FLOAT8, [None if value is None else struct.pack("!d", value) for value in values])
    return _fixed(FLOAT8, "d", values)


def _fixed(kind: int, letter: str, values: Sequence[object]) -> Ready:
    if not values:
        return Ready(struct.pack("!iii", 0, 0, kind))
    flat = [part for value in values for part in (8, value)]
    return Ready(struct.pack(f"!iiiii{f'i{letter}' * len(values)}", 1, 0, kind, len(values), 1, *flat))


def unpacked(array: Ready) -> list[object]:
    """The items of an array that was packed above, for a driver that packs them itself."""
    dimensions, _, kind = struct.unpack_from("!iii", array)
    items: list[object] = []
    at = 20
    for _ in range(struct.unpack_from("!i", array, 12)[0] if dimensions else 0):
        (size,) = struct.unpack_from("!i", array, at)
        at += 4
        items.append(None if size < 0 else _item(kind, array[at : at + size]))
        at += max(size, 0)
    return items


def _item(kind: int, item: bytes) -> object:
    if kind == TEXT:
        return item.decode()
    if kind == BYTEA:
        return item
    return struct.unpack("!q" if kind == INT8 else "!d", item)[0]


def kept(text: str) -> str:
    """A text as minuet's own tables keep it: itself, but for a NUL."""
    if "\0" not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, f"{_ESCAPE}e").replace("\0", f"{_ESCAPE}0")


def given_back(text: str) -> str:
    """The text that `kept` has kept."""
    if _ESCAPE not in text:
        return text
    return text.replace(f"{_ESCAPE}0", "\0").replace(f"{_ESCAPE}e", _ESCAPE)


def indexed(text: str) -> str:
    """A name that somebody else chose, as an index has room for it: itself, or its beginning and its SHA-256.

    What is shortened already stays as it is.
    """
    if len(text) <= _SHORT or len(kept(text).encode(errors="backslashreplace")) <= LONGEST_BYTES:
        return text
    return f"{text[:_BEGINNING]}…sha256:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def indexed_or_none(text: str | None) -> str | None:
    """As `indexed`, of a name that may be missing."""
    return None if text is None else indexed(text)
