"""Topics' names: in Kafka letters, digits, '.', '_' and '-', 249 at most; whatever else a topic has is escaped."""

from __future__ import annotations

import re

from minuet.errors import StartupError

LONGEST = 249
_ILLEGAL = re.compile(r"_(?=x)|[^A-Za-z0-9._-]")


def kafka_name(topic: str, prefix: str = "") -> str:
    """The name that a topic has in Kafka: its own after the prefix, `_x20` for each byte that may not stand there.

    Raises StartupError for one that is empty or too long.
    """
    name = prefix + (_ILLEGAL.sub(_escape, topic) if topic not in (".", "..") else _escape_all(topic))
    if not topic or len(name) > LONGEST:
        raise StartupError(
            f"The topic {topic!r} would be called {name!r} in Kafka, where a name has 1 to {LONGEST} characters. Give "
            "the contract another name=, or the broker a shorter ?prefix=."
        )
    return name


def _escape(found: re.Match[str]) -> str:
    return _escape_all(found[0])


def _escape_all(text: str) -> str:
    return "".join(f"_x{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))
