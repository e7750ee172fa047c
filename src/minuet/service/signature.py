"""Reads a function into a Reaction: its parameters are what it takes and needs, its return what it emits.

Every mistake is a DeclarationError at the moment of decoration, in a sentence that names the function and its
place.
"""

import inspect
import types
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import get_args, get_origin

from minuet.contracts.contract import Contract
from minuet.errors import DeclarationError, place_of
from minuet.service import options
from minuet.service.annotation import alternatives, contract_named, mentions_contract, resolved, spelled
from minuet.service.context import Transaction
from minuet.service.declaration import Declared
from minuet.service.reaction import Emission, Need, Reaction, Shape

LONGEST_NAME = 100
"""How many characters a reaction's name has at most. With its service's it stands in PostgreSQL's indexes."""
GRAMMAR = "`None`, `A`, `A | B`, `A | None`, `tuple[A, B]`, `list[A | B]` or `AsyncIterator[A | B]`"


def read_reaction(service: str, function: Callable[..., object], asked: options.Options) -> Reaction:
    """The reaction that this function declares for a service. Raises DeclarationError."""
    if not isinstance(function, types.FunctionType):
        raise DeclarationError(
            f"Service {service} was given {function!r} as a reaction. A reaction is a plain function: "
            "write a `def` or an `async def` and decorate that."
        )
    where = Declared(f"Reaction {service}.{function.__name__}", place_of(function))
    if not function.__name__.isidentifier():
        raise where.refuse("has no name. A reaction is known by its function's name: give it one.")
    if len(function.__name__) > LONGEST_NAME:
        raise where.refuse(
            f"has a name of {len(function.__name__)} characters, and what it handled is remembered under that name, "
            f"which may have {LONGEST_NAME}. Give the function a shorter one."
        )
    hints = resolved(function, where)
    is_async = runs_async(function, where)
    event_parameter, takes, needs = read_parameters(function, hints, where)
    if not is_async and any(need.type is Transaction for need in needs):
        raise where.refuse(
            "takes a Transaction, whose methods are awaited, and is not `async`. Make it `async def`, or "
            "take Writes or the store's native connection (such as sqlite3.Connection) instead."
        )
    return Reaction(
        service=service,
        name=function.__name__,
        function=function,
        takes=takes,
        event_parameter=event_parameter,
        emits=read_emission(function, hints, where),
        needs=needs,
        is_async=is_async,
        retry=options.retry_of(asked, where),
        never=options.never_of(asked, where),
        guarantee=options.guarantee_of(asked, where),
        when=options.when_of(asked, takes, where),
        concurrency=options.concurrency_of(asked, where),
        on_dead_letter=options.on_dead_letter_of(asked, where),
        place=where.place,
        meaning=inspect.getdoc(function) or "",
    )


def runs_async(function: types.FunctionType, where: Declared) -> bool:
    """Whether calling it gives something to await or iterate; False for what runs in a worker thread."""
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    inner = inspect.unwrap(function)
    if not is_async and (inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)):
        raise where.refuse(
            "is an `async` function inside a decorator that is not, so it would run in a worker thread. "
            "Make the decorator's wrapper `async def` and await the function in it."
        )
    if inspect.isgeneratorfunction(function):
        raise where.refuse("is a generator. Return a list, or make it an `async def` that yields AsyncIterator[...].")
    return is_async


def read_parameters(
    function: types.FunctionType, hints: dict[str, object], where: Declared
) -> tuple[str, tuple[Contract, ...], tuple[Need, ...]]:
    """The event parameter's name, the contracts that it takes, and all other parameters in order."""
    events: list[tuple[str, tuple[Contract, ...]]] = []
    needs: list[Need] = []
    for name, parameter in inspect.signature(function).parameters.items():
        refuse_kind(parameter, where)
        if name not in hints:
            raise where.refuse(
                f"has a parameter {name!r} without an annotation. A parameter is filled by its type: "
                "annotate it with an event, or with the type of what it needs."
            )
        contracts = read_event(name, hints[name], where)
        if contracts:
            events.append((name, contracts))
        else:
            needs.append(Need(name, hints[name], optional=parameter.default is not inspect.Parameter.empty))
    if not events:
        named = ", ".join(f"{need.parameter}: {spelled(need.type)}" for need in needs)
        none = f"none of its parameters ({named}) is annotated with one" if needs else "it has no parameters"
        raise where.refuse(
            f"takes no event: {none}. Annotate exactly one with"
            " a class derived from minuet.Event, or one that @contract decorates."
        )
    if len(events) > 1:
        named = " and ".join(name for name, _ in events)
        raise where.refuse(
            f"takes more than one event ({named}). Joins are not supported yet: take one event, or write "
            "`A | B` on one parameter to react to either."
        )
    [(event_parameter, takes)] = events
    return event_parameter, takes, tuple(needs)


def refuse_kind(parameter: inspect.Parameter, where: Declared) -> None:
    """Parameters are passed by name, each for its type; one that cannot be is refused."""
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "**"
        raise where.refuse(f"has {stars}{parameter.name}. Every parameter is filled by its type: name each one.")
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise where.refuse(
            f"has the positional-only parameter {parameter.name!r}. Parameters are passed by name: "
            "remove the `/` from its signature."
        )


def read_event(name: str, annotation: object, where: Declared) -> tuple[Contract, ...]:
    """The contracts of an event parameter; empty for a parameter that is something to inject."""
    if not mentions_contract(annotation):
        return ()
    members = alternatives(annotation)
    contracts = [contract_named(member) for member in members]
    taken = tuple(contract for contract in contracts if contract is not None)
    if len(taken) == len(members):
        return taken
    written = f"{name}: {spelled(annotation)}"
    if get_origin(annotation) is list:
        raise where.refuse(f"takes a batch ({written}). Batches are not supported yet: take one event, `A` or `A | B`.")
    raise where.refuse(
        f"has the event parameter {written}, which is more than events. Write `A` or `A | B`, where each is "
        "an event; a delivery always brings one."
    )


def read_emission(function: types.FunctionType, hints: dict[str, object], where: Declared) -> Emission:
    """What the return annotation allows, and that the function is of the kind that can keep it."""
    if "return" not in hints:
        raise where.refuse(
            f"does not say what it emits. Write its return annotation: {GRAMMAR}; `-> None` for nothing."
        )
    annotation = hints["return"]
    emission = read_shape(annotation, where)
    streams = inspect.isasyncgenfunction(function)
    if emission.shape is Shape.STREAM and not streams:
        raise where.refuse(f"returns {spelled(annotation)} and yields nothing. A stream is an `async def` that yields.")
    if streams and emission.shape is not Shape.STREAM:
        raise where.refuse(
            f"yields and is annotated {spelled(annotation)}. What yields events returns AsyncIterator[...]."
        )
    return emission


def read_shape(annotation: object, where: Declared) -> Emission:
    """The return annotation's shape and contracts; what is outside the grammar is refused."""
    if annotation is type(None):
        return Emission(Shape.NOTHING, ())
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple and arguments and ... not in arguments:
        return Emission(Shape.ALL, emitted(arguments, annotation, where))
    if origin is list:
        return Emission(Shape.MANY, emitted(alternatives(arguments[0]), annotation, where))
    if origin in (AsyncIterator, AsyncGenerator):
        return Emission(Shape.STREAM, emitted(alternatives(arguments[0]), annotation, where))
    if origin is Coroutine:
        raise where.refuse(f"is annotated {spelled(annotation)}. Make it `async def` and say what it gives.")
    members = alternatives(annotation)
    certain = tuple(member for member in members if member is not type(None))
    shape = Shape.ONE if len(certain) == len(members) else Shape.MAYBE
    return Emission(shape, emitted(certain, annotation, where))


def emitted(members: tuple[object, ...], annotation: object, where: Declared) -> tuple[Contract, ...]:
    """The contracts of the classes that a return annotation names; every one of them must have its own."""
    contracts: list[Contract] = []
    for member in members:
        contract = contract_named(member)
        if contract is None:
            which = "which" if member is annotation else f"in which {spelled(member)}"
            raise where.refuse(
                f"returns {spelled(annotation)}, {which} is not an event. What it returns "
                f"is {GRAMMAR}, where A and B derive from minuet.Event or are decorated with @contract."
            )
        contracts.append(contract)
    return tuple(contracts)
