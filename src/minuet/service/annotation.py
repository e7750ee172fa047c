"""Annotations as values: resolved where they are declared, unions taken apart, contracts found in them."""

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Union, get_args, get_origin, get_type_hints

from minuet.contracts.contract import Contract, contract_of
from minuet.service.declaration import Declared


def resolved(function: Callable[..., object], where: Declared) -> dict[str, object]:
    """The function's annotations by parameter, `return` among them; strings are evaluated in its scope.

    Names local to an enclosing function are found too, so that a service may be built inside one.
    Raises DeclarationError, beginning with `where`.
    """
    try:
        return dict(get_type_hints(function, localns=names_in_scope(function)))
    except NameError as error:
        name = error.name or str(error)
        raise where.refuse(
            f"has an annotation that names {name!r}, which is not known when the function is declared. "
            f"Import or define {name} above it, not only under `if TYPE_CHECKING:`: annotations are read "
            "when the module is imported."
        ) from None
    except Exception as error:
        raise where.refuse(f"has an annotation that cannot be evaluated: {type(error).__name__}: {error}.") from error


def names_in_scope(function: Callable[..., object]) -> Mapping[str, object]:
    """The local names of the function or class body that is declaring this function right now."""
    inner = inspect.unwrap(function)
    module: object = getattr(inner, "__globals__", None)
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals is not module:
        frame = frame.f_back
    return {} if frame is None else dict(frame.f_locals)


def alternatives(annotation: object) -> tuple[object, ...]:
    """The members of a union in their order, anything else alone."""
    if get_origin(annotation) in (types.UnionType, Union):
        return get_args(annotation)
    return (annotation,)


def contract_named(annotation: object) -> Contract | None:
    """The contract of an annotation that is an event's class, None for everything else."""
    return contract_of(annotation) if isinstance(annotation, type) else None


def mentions_contract(annotation: object) -> bool:
    """Whether an event's class stands anywhere in the annotation, in a union or a list or deeper."""
    if contract_named(annotation) is not None:
        return True
    return any(mentions_contract(argument) for argument in get_args(annotation))


def spelled(annotation: object) -> str:
    """An annotation as its author would write it."""
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__qualname__.rpartition("<locals>.")[2]
    if get_origin(annotation) in (types.UnionType, Union):
        return " | ".join(spelled(member) for member in get_args(annotation))
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if isinstance(origin, type) and arguments:
        return f"{origin.__name__}[{', '.join(spelled(argument) for argument in arguments)}]"
    return "..." if annotation is ... else repr(annotation)
