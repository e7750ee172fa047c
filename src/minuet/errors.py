"""Everything minuet raises, as one small tree, and the place in the user's code that an error speaks of."""

import sys
from types import CodeType
from typing import NamedTuple


class Place(NamedTuple):
    """Where something was declared: a file, relative to the root that its module was imported from, and a line.

    The line counts from 1; 0 means that only the file is known. Reads as `shop/payments.py:12`.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class MinuetError(Exception):
    """The root of every error that minuet raises on purpose."""


class DeclarationError(MinuetError):
    """A contract, reaction, service or workflow is declared wrongly; raised while the user's module is imported."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message, place)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class StartupError(MinuetError):
    """An app that must not start: a promise that its broker or store cannot keep, or a need that nobody provides."""


class PreparationFailed(StartupError):
    """A service's setup or provider raised while its app started; the cause is what it raised."""


class UndeclaredEmission(MinuetError):
    """A reaction returned something that its return annotation does not allow; its transaction is rolled back."""


class InvalidEmission(MinuetError):
    """An event was to be emitted whose data its own contract does not allow; nothing was emitted."""


class CapacityError(MinuetError):
    """A bound was reached (payload size, batch, buffer) and going on would mean losing something silently."""


class PayloadTooLarge(CapacityError):
    """A message is larger than its broker carries; nothing of its batch was published."""


class BrokerUnavailable(MinuetError):
    """A broker that cannot be reached or used now; trying again may help."""


class MessagesRefused(MinuetError):
    """A broker would not take some messages of a batch; what it took of the others need not be published again.

    `refused` and `taken` are places in the batch, counted from 0 and in order. What is in neither was not tried: it
    stands behind a refused one of its key, or the broker was too slow for all of it.
    """

    def __init__(self, message: str, refused: tuple[int, ...], taken: tuple[int, ...]) -> None:
        super().__init__(message, refused, taken)
        self.message = message
        self.refused = refused
        self.taken = taken

    def __str__(self) -> str:
        return self.message


class BrokerClosed(MinuetError):
    """A subscription that was closed was asked for more."""


class StoreUnavailable(MinuetError):
    """A store that cannot be reached or used for this; the message says which."""


class ConnectionLost(StoreUnavailable):
    """The connection to a store was lost in the middle: what was under way is committed, or it is not."""


class NeverUsed(StoreUnavailable):
    """A place that minuet has never used was to be looked into; nothing was created there."""


class EditRefused(MinuetError):
    """An edit of a dead letter that its contract, its key or its bytes do not allow; nothing was redriven."""


class NotRepeated(MinuetError):
    """Something that the runtime could not do, and goes on without doing it again; the message says what follows."""


class StandsStill(MinuetError):
    """Something does not go on, and waits for somebody to look."""


class TransactionLost(StoreUnavailable):
    """A statement of a reaction took back the whole transaction, and with it what its neighbours had written; they are
    done again, and the reaction has failed.
    """


class OutOfStep(TransactionLost):
    """A statement of a reaction was answered before it was performed, and not with what then was; the turns that shared
    its transaction are done again, each by itself, and none has failed.
    """

    def __init__(self) -> None:
        super().__init__(
            "A statement that was answered ahead did not do what it has always done. Its turn is done again by itself."
        )


class CommitRefused(TransactionLost):
    """A constraint that is checked at the commit refused it, and with it everything that shared it."""


class Rejected(MinuetError):
    """A delivery that can never be handled as it is, and belongs with the dead letters.

    `reason` is a stable snake_case word for programs, the message is for people.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, reason)
        self.message = message
        self.reason = reason

    def __str__(self) -> str:
        return self.message


class EnvelopeRejected(Rejected):
    """Bytes that are not a CloudEvent. Reason `undecodable` (not even JSON) or `envelope` (not a valid event)."""

    def __init__(self, message: str, reason: str = "envelope") -> None:
        super().__init__(message, reason)


class PayloadRejected(Rejected):
    """A CloudEvent whose data does not satisfy its contract. Reason `payload`."""

    def __init__(self, message: str, reason: str = "payload") -> None:
        super().__init__(message, reason)


class VersionRejected(Rejected):
    """A version that this consumer cannot read. Reason `newer_version` (it does not fit) or `no_upcaster`."""


def place_of(subject: object) -> Place:
    """Where a function or class was declared; decorated functions count from their first decorator."""
    while (wrapped := getattr(subject, "__wrapped__", None)) is not None:
        subject = wrapped
    subject = getattr(subject, "func", subject)  # functools.partial
    module = getattr(subject, "__module__", None) or ""
    code = getattr(subject, "__code__", None)
    if isinstance(code, CodeType):
        return Place(_from_import_root(code.co_filename, module), code.co_firstlineno)
    file = getattr(sys.modules.get(module), "__file__", None)
    return Place(_from_import_root(file, module) if file else f"<{module or 'unknown'}>", 0)


def place_of_caller(depth: int = 1) -> Place:
    """Where the code stands that called the function `depth` calls above the one that asks."""
    # A class statement's line is known to its frame alone.
    frame = sys._getframe(depth + 1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    module = frame.f_globals.get("__name__", "")
    return Place(_from_import_root(frame.f_code.co_filename, module), frame.f_lineno)


def _from_import_root(file: str, module: str) -> str:
    """Shorten an absolute file name to the part that its module's dotted name accounts for."""
    parts = file.replace("\\", "/").split("/")
    depth = module.count(".") + (2 if parts[-1] == "__init__.py" else 1)
    return "/".join(parts[-depth:])
