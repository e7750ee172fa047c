"""From the placeholders of `Transaction`, `?` and `:name`, to PostgreSQL's `$1`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from minuet.errors import StoreUnavailable

Parameters = Sequence[object] | Mapping[str, object]

_PASSED_OVER = r"""
    [eE]'(?:[^'\\]|\\.|'')*'              # a text with escapes
  | '(?:[^']|'')*'                        # a text
  | "(?:[^"]|"")*"                        # a name
  | --[^\n]*                              # a comment
  | /\*(?:[^*]|\*(?!/))*\*/               # a comment
  | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$   # a text between dollars
  | ::                                    # a cast
"""
_QUESTION = re.compile(rf"{_PASSED_OVER} | (?P<mark>\?)", re.VERBOSE | re.DOTALL)
_NAMED = re.compile(rf"{_PASSED_OVER} | (?<![\w\]]):(?P<mark>[A-Za-z_]\w*)", re.VERBOSE | re.DOTALL)


def bound(sql: str, params: Parameters) -> tuple[str, Sequence[object]]:
    """A statement with `$1`, `$2` and so on, and its values in that order.

    Raises StoreUnavailable when values are missing or too many. What stands in texts, names and comments is left.
    PostgreSQL's operators with a question mark have functions: `jsonb_exists(a, b)` is `a ? b`.
    """
    if isinstance(params, Mapping):
        translated, names = _by_name(sql)
        try:
            return translated, [params[name] for name in names]
        except KeyError as error:
            raise StoreUnavailable(f"{sql!r} has :{error.args[0]}, and the values given have no {error}.") from None
    translated, count = _by_place(sql)
    if count != len(params):
        raise StoreUnavailable(f"{sql!r} has {count} placeholders, and {len(params)} values were given.")
    return translated, params


@lru_cache(4096)
def _by_place(sql: str) -> tuple[str, int]:
    count = 0

    def numbered(found: re.Match[str]) -> str:
        nonlocal count
        if found["mark"] is None:
            return found[0]
        count += 1
        return f"${count}"

    return _QUESTION.sub(numbered, sql), count


@lru_cache(4096)
def _by_name(sql: str) -> tuple[str, tuple[str, ...]]:
    names: dict[str, int] = {}

    def numbered(found: re.Match[str]) -> str:
        name = found["mark"]
        return found[0] if name is None else f"${names.setdefault(name, len(names) + 1)}"

    return _NAMED.sub(numbered, sql), tuple(names)
