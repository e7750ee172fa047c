"""What a reaction returned, against what it declared: compiled once per reaction, checked at every turn."""

from collections.abc import Callable
from typing import TypeAlias, cast

from minuet.errors import UndeclaredEmission
from minuet.service.annotation import spelled
from minuet.service.reaction import Reaction, Shape

Check: TypeAlias = Callable[[object], tuple[object, ...]]


def compile_emission(reaction: Reaction) -> Check:
    """A function from the reaction's return value to the events that it emits, in order.

    An event counts as declared by its exact class, so a subclass is refused unless it is declared itself.
    For a STREAM the caller collects the iterator into a list (`check_item` refuses early) and hands that in.
    The function raises UndeclaredEmission.
    """
    match reaction.emits.shape:
        case Shape.NOTHING:
            return nothing(reaction)
        case Shape.ONE:
            return one(reaction)
        case Shape.MAYBE:
            return maybe(reaction)
        case Shape.ALL:
            return every(reaction)
        case Shape.MANY | Shape.STREAM:
            return many(reaction)


def nothing(reaction: Reaction) -> Check:
    """`None`: no event ever."""

    def check(result: object) -> tuple[object, ...]:
        if result is None:
            return ()
        raise undeclared(reaction, result)

    return check


def one(reaction: Reaction) -> Check:
    """`A | B`: always one event."""
    declared = frozenset(contract.payload for contract in reaction.emits.contracts)

    def check(result: object) -> tuple[object, ...]:
        if type(result) in declared:
            return (result,)
        raise undeclared(reaction, result)

    return check


def maybe(reaction: Reaction) -> Check:
    """`A | None`: one event or none."""
    declared = frozenset(contract.payload for contract in reaction.emits.contracts)

    def check(result: object) -> tuple[object, ...]:
        if type(result) in declared:
            return (result,)
        if result is None:
            return ()
        raise undeclared(reaction, result)

    return check


def every(reaction: Reaction) -> Check:
    """`tuple[A, B]`: each of them, in this order."""
    declared = tuple(contract.payload for contract in reaction.emits.contracts)

    def check(result: object) -> tuple[object, ...]:
        events = cast("tuple[object, ...]", result)
        if type(events) is tuple and tuple(map(type, events)) == declared:
            return events
        raise undeclared(reaction, result)

    return check


def many(reaction: Reaction) -> Check:
    """`list[A | B]`, and a stream once collected: any number of events."""
    declared = frozenset(contract.payload for contract in reaction.emits.contracts)

    def check(result: object) -> tuple[object, ...]:
        events = cast("list[object]", result)
        if type(events) is list and declared.issuperset(map(type, events)):
            return tuple(events)
        raise undeclared(reaction, result)

    return check


def check_item(reaction: Reaction, item: object) -> None:
    """Refuse one item of a STREAM as it comes, before the rest of it runs. Raises UndeclaredEmission."""
    kind = type(item)
    for contract in reaction.emits.contracts:
        if contract.payload is kind:
            return
    raise undeclared(reaction, item)


def undeclared(reaction: Reaction, result: object) -> UndeclaredEmission:
    """The refusal, in prose: which reaction, where, what it may emit, what it did."""
    may = "nothing" if reaction.emits.shape is Shape.NOTHING else str(reaction.emits)
    return UndeclaredEmission(
        f"{reaction.place}: Reaction {reaction.id} may emit {may} and returned {described(result)}. "
        "None of it was recorded: write what it emits in its return annotation, or return what that says."
    )


def described(result: object) -> str:
    """A value by its type, a container with the types of its items; contents may be private."""
    if result is None:
        return "None"
    name = spelled(type(result))
    if isinstance(result, (list, tuple)):
        items = cast("list[object] | tuple[object, ...]", result)
        kinds = list(dict.fromkeys(spelled(type(item)) for item in items))
        counted = f", {len(items)} in all" if len(items) > len(kinds) else ""
        return f"{name}[{', '.join(kinds)}]{counted}"
    return name
