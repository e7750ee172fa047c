"""What a reaction may ask for by type: its context, the transaction that it runs in, writes for later."""

from datetime import datetime

from msgspec import Struct

from minuet.ports.store import Parameters, Transaction

__all__ = ["Context", "Parameters", "Transaction", "Writes"]


class Context(Struct, frozen=True, kw_only=True, gc=False):
    """Who reacts to what, for which time: the facts about one delivery that are not in its payload.

    `attempt` counts from 1. `time` is when the event was published (UTC), None if its producer did not say.
    `idempotency_key` is the same at every attempt and after every crash, and differs between reactions: hand
    it to whatever is called outside (a bank, a mail service), so that a second call has no second effect.
    """

    service: str
    reaction: str
    event_id: str
    correlation_id: str
    causation_id: str | None
    key: str | None
    attempt: int
    time: datetime | None
    idempotency_key: str


class Writes:
    """Statements to be performed, in order, in the transaction that records the reaction.

    For a reaction that awaits the outside world: it holds no transaction while it waits, and has its rows
    exactly once all the same. A reaction that raises performs none of them.
    """

    __slots__ = ("statements",)

    statements: list[tuple[str, Parameters]]

    def __init__(self) -> None:
        self.statements = []

    def execute(self, sql: str, params: Parameters = (), /) -> None:
        """Keep one statement for later; it is performed after the reaction has returned."""
        self.statements.append((sql, params))

    def __repr__(self) -> str:
        return f"<Writes {[sql for sql, _ in self.statements]}>"
