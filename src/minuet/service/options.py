"""The keywords of `@service.reaction(...)`, each checked when the reaction is declared."""

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, get_args

from minuet.contracts.contract import Contract
from minuet.policies.retry import Retry, retry
from minuet.service.annotation import alternatives, contract_named, resolved, spelled
from minuet.service.declaration import Declared
from minuet.service.reaction import Guarantee, OnDeadLetter

CONCURRENCY = 100

W = TypeVar("W")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The keywords as they were written; None where one was left out."""

    retry: Retry | None = None
    never: type[Exception] | tuple[type[Exception], ...] = ()
    guarantee: Guarantee | None = None
    when: Callable[..., bool] | None = None
    concurrency: int = CONCURRENCY
    on_dead_letter: OnDeadLetter | None = None


def retry_of(asked: Options, where: Declared) -> Retry:
    """The retry policy, by default `retry()`."""
    policy: object = asked.retry
    if policy is None:
        return retry()
    if not isinstance(policy, Retry):
        raise where.refuse(f'has retry={policy!r}. Write retry=retry(times=5, first="1s", most="1m").')
    return policy


def never_of(asked: Options, where: Declared) -> tuple[type[Exception], ...]:
    """The exceptions that no retry can heal, always as a tuple."""
    given: object = asked.never
    kinds: tuple[object, ...] = given if isinstance(given, tuple) else (given,)
    never: list[type[Exception]] = []
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise where.refuse(
                f"has never={spelled(kind)}, which is not an exception type. "
                "Write the class of an exception, or a tuple of them."
            )
        never.append(kind)
    return tuple(never)


def guarantee_of(asked: Options, where: Declared) -> Guarantee | None:
    """The delivery guarantee, None if the contract decides."""
    return refused_outside(asked.guarantee, get_args(Guarantee), "guarantee", where)


def on_dead_letter_of(asked: Options, where: Declared) -> OnDeadLetter | None:
    """What later events of a key do once one is dead, None if the contract decides."""
    return refused_outside(asked.on_dead_letter, get_args(OnDeadLetter), "on_dead_letter", where)


def refused_outside(word: W, words: tuple[str, ...], keyword: str, where: Declared) -> W:
    """The word itself if it is None or one of the words."""
    if word is not None and word not in words:
        raise where.refuse(f"has {keyword}={word!r}. It is one of {', '.join(words)}.")
    return word


def concurrency_of(asked: Options, where: Declared) -> int:
    """How many may run at once outside a transaction, at least 1."""
    given: object = asked.concurrency
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise where.refuse(f"has concurrency={given!r}. It is how many run at once: 1 or more.")
    return given


def when_of(asked: Options, takes: tuple[Contract, ...], where: Declared) -> Callable[..., bool] | None:
    """The predicate, asked with each event: a plain function that accepts all that the reaction takes."""
    when: object = asked.when
    if when is None:
        return None
    if not callable(when) or inspect.iscoroutinefunction(when):
        raise where.refuse(f"has when={when!r}. It is a plain function of the event that says yes or no.")
    if isinstance(when, types.FunctionType):
        refuse_mismatch(when, takes, where)
    return asked.when


def refuse_mismatch(when: types.FunctionType, takes: tuple[Contract, ...], where: Declared) -> None:
    """Refuse a predicate that cannot be asked with the event alone, or that is annotated for other events."""
    name = when.__name__
    try:
        inspect.signature(when).bind(object())
    except TypeError:
        raise where.refuse(f"has when={name}, which cannot be called with the event alone.") from None
    hints = resolved(when, where._replace(subject=f"{where.subject} has when={name}, which"))
    parameter = next(iter(inspect.signature(when).parameters))
    accepted = alternatives(hints.get(parameter, object))
    if all(contract_named(member) is None for member in accepted):
        return
    missing = [contract.type for contract in takes if contract.payload not in accepted]
    if missing:
        raise where.refuse(f"takes {' and '.join(missing)} and has when={name}, which does not.")
