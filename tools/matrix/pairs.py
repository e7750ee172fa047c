"""The pairs of broker and store, and the servers that each needs."""

from collections.abc import Mapping
from typing import NamedTuple


class Pair(NamedTuple):
    """A broker and a store, each by the name of its server; None is a SQLite file beside the run."""

    name: str
    broker: str | None
    store: str | None

    @property
    def servers(self) -> tuple[str, ...]:
        """Whom to start, and to kill: each once, the broker first."""
        return tuple(dict.fromkeys(server for server in (self.broker, self.store) if server is not None))

    def options(self, urls: Mapping[str, str], directory: str) -> list[str]:
        """What `minuet demo order` is told, with the URLs of the servers."""
        broker = urls[self.broker] if self.broker else f"sqlite:///{directory}/broker.db"
        return ["--broker", broker, *(["--store", urls[self.store]] if self.store else [])]


PAIRS = (
    Pair("sqlite+sqlite", None, None),
    Pair("postgres", "postgres", "postgres"),
    Pair("kafka+postgres", "kafka", "postgres"),
    Pair("rabbitmq+postgres", "rabbitmq", "postgres"),
    Pair("kafka+sqlite", "kafka", None),
)


def chosen(name: str) -> tuple[Pair, ...]:
    """The pair of this name, all for an empty one. Raises ValueError."""
    found = tuple(pair for pair in PAIRS if name in ("", pair.name))
    if not found:
        raise ValueError(f"There is no pair {name!r}; there are {', '.join(pair.name for pair in PAIRS)}.")
    return found
