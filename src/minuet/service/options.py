"""The keywords of `@service.reaction(...)`, each checked when the reaction is declared."""

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard, cast, get_args

from minuet.contracts.contract import Contract, Guarantee, OnDeadLetter
from minuet.policies.retry import Retry, retry
from minuet.service.annotation import alternatives, contract_named, resolved, spelled
from minuet.service.declaration import Declared

CONCURRENCY = 100


@dataclass(frozen=True, kw_only=True)
class Options:
    """The keywords as they were written, and whatever was written: not every author runs a type checker."""

    retry: object = None
    never: object = ()
    guarantee: object = None
    when: object = None
    concurrency: object = CONCURRENCY
    on_dead_letter: object = None


def retry_of(asked: Options, where: Declared) -> Retry:
    """The retry policy, by default `retry()`."""
    policy = asked.retry
    if policy is None:
        return retry()
    if not isinstance(policy, Retry):
        raise where.refuse(f'has retry={policy!r}. Write retry=retry(times=5, first="1s", most="1m").')
    return policy


def never_of(asked: Options, where: Declared) -> tuple[type[Exception], ...]:
    """The exceptions that no retry can heal, always as a tuple."""
    given = asked.never
    kinds = cast("tuple[object, ...]", given) if isinstance(given, tuple) else (given,)
    never: list[type[Exception]] = []
    for kind in kinds:
        if not is_exception(kind):
            raise where.refuse(
                f"has never={spelled(kind)}, which is not an exception type. "
                "Write the class of an exception, or a tuple of them."
            )
        never.append(kind)
    return tuple(never)


def is_exception(kind: object) -> TypeGuard[type[Exception]]:
    """Whether it is a class that `except` would take."""
    return isinstance(kind, type) and issubclass(kind, Exception)


def guarantee_of(asked: Options, where: Declared) -> Guarantee | None:
    """The delivery guarantee, None if the contract decides."""
    if asked.guarantee is not None and asked.guarantee not in get_args(Guarantee):
        raise where.refuse(f"has guarantee={asked.guarantee!r}. It is one of {', '.join(get_args(Guarantee))}.")
    return cast("Guarantee | None", asked.guarantee)


def on_dead_letter_of(asked: Options, where: Declared) -> OnDeadLetter | None:
    """What later events of a key do once one is dead, None if the contract decides."""
    if asked.on_dead_letter is not None and asked.on_dead_letter not in get_args(OnDeadLetter):
        words = ", ".join(get_args(OnDeadLetter))
        raise where.refuse(f"has on_dead_letter={asked.on_dead_letter!r}. It is one of {words}.")
    return cast("OnDeadLetter | None", asked.on_dead_letter)


def concurrency_of(asked: Options, where: Declared) -> int:
    """How many may run at once outside a transaction, at least 1."""
    given = asked.concurrency
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise where.refuse(f"has concurrency={given!r}. It is how many run at once: 1 or more.")
    return given


def when_of(asked: Options, takes: tuple[Contract, ...], where: Declared) -> Callable[..., bool] | None:
    """The predicate, asked with each event: a plain function that accepts all that the reaction takes."""
    when = asked.when
    if when is None:
        return None
    name: str = getattr(when, "__name__", repr(when))
    if not callable(when) or inspect.iscoroutinefunction(when):
        raise where.refuse(f"has when={name}. It is a plain function of the event that says yes or no.")
    if isinstance(when, types.FunctionType):
        refuse_mismatch(when, takes, where)
    return cast("Callable[..., bool]", when)


def refuse_mismatch(when: types.FunctionType, takes: tuple[Contract, ...], where: Declared) -> None:
    """Refuse a predicate that cannot be asked with the event alone, or that is annotated for other events."""
    name = when.__name__
    hints = resolved(when, where._replace(subject=f"{where.subject} has when={name}, which"))
    signature = inspect.signature(when)
    try:
        signature.bind(object())
    except TypeError:
        raise where.refuse(f"has when={name}, which cannot be called with the event alone.") from None
    annotation = hints.get(next(iter(signature.parameters)))
    asked = tuple(contract.payload for contract in map(contract_named, alternatives(annotation)) if contract)
    missing = [contract.type for contract in takes if asked and not issubclass(contract.payload, asked)]
    if missing:
        raise where.refuse(f"takes {' and '.join(missing)} and has when={name}, which does not.")
