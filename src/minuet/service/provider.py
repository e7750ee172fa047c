"""What a service provides to its reactions: a function whose return annotation says which type it gives."""

import inspect
import types
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import get_args, get_origin

from minuet.errors import DeclarationError, Place, place_of
from minuet.service.annotation import contract_named, resolved, spelled
from minuet.service.context import Context, Transaction, Writes
from minuet.service.declaration import Declared

BUILT_IN: tuple[object, ...] = (Transaction, Context, Writes)


@dataclass(frozen=True, eq=False, repr=False)
class Provider:
    """One provided type. Its function is called once, at start; a generator is closed at stop."""

    type: object
    function: Callable[[], object]
    place: Place

    @property
    def is_async(self) -> bool:
        """Whether what it returns is awaited, or iterated with `async for`."""
        return inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function)

    @property
    def closes(self) -> bool:
        """Whether it is a generator, which yields the value once and cleans up after its `yield`."""
        return inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function)

    def __repr__(self) -> str:
        return f"<Provider {spelled(self.type)} at {self.place}>"


def read_provider(service: str, function: Callable[..., object]) -> Provider:
    """The provider that this function declares for a service. Raises DeclarationError."""
    if not isinstance(function, types.FunctionType):
        raise DeclarationError(
            f"Service {service} was given {function!r} to provide. A provider is a plain function: "
            "write one, sync or async, that returns or yields what it provides."
        )
    where = Declared(f"Provider {service}.{function.__name__}", place_of(function))
    hints = resolved(function, where)
    parameters = tuple(inspect.signature(function).parameters)
    if parameters:
        raise where.refuse(f"takes {', '.join(parameters)}. A provider is called without arguments.")
    if "return" not in hints:
        raise where.refuse("does not say what it provides. Write its return annotation.")
    provided = provided_type(function, hints["return"], where)
    if provided in BUILT_IN:
        raise where.refuse(f"provides {spelled(provided)}, which every reaction may take already. Remove it.")
    if provided is type(None) or provided is object:
        raise where.refuse(f"provides {spelled(provided)}. Parameters are filled by type: say a type of its own.")
    if contract_named(provided) is not None:
        raise where.refuse(f"provides {spelled(provided)}, an event. Events are taken and emitted, not provided.")
    return Provider(provided, function, where.place)


def provided_type(function: types.FunctionType, annotation: object, where: Declared) -> object:
    """The annotation itself, or for a generator what it yields."""
    generator, asynchronous = inspect.isgeneratorfunction(function), inspect.isasyncgenfunction(function)
    if not (generator or asynchronous):
        return annotation
    yielding = (AsyncIterator, AsyncGenerator) if asynchronous else (Iterator, Generator)
    arguments = get_args(annotation)
    if get_origin(annotation) not in yielding or not arguments:
        wanted = "AsyncIterator[T]" if asynchronous else "Iterator[T]"
        raise where.refuse(f"yields and is annotated {spelled(annotation)}. Annotate it {wanted}.")
    return arguments[0]
