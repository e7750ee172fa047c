"""Wrong declarations: each is refused where it stands, in a sentence that names function, file and line."""

import functools
from collections.abc import AsyncIterator, Coroutine, Iterator

import pytest

from minuet import DeclarationError, Event, Service, Transaction
from minuet.errors import place_of


class Placed(Event):
    order_id: str


class Shipped(Event):
    order_id: str


class Unrelated:
    pass


class Express(Placed):
    """A subclass is an event of its own."""


async def no_event(tx: Transaction, count: int) -> None: ...
async def no_parameter() -> None: ...
async def two_events(placed: Placed, shipped: Shipped) -> None: ...
async def batch(placed: list[Placed]) -> None: ...
async def batch_of_either(placed: list[Placed | Shipped]) -> None: ...
async def event_or_none(placed: Placed | None) -> None: ...
async def event_or_other(placed: Placed | int) -> None: ...
async def event_in_tuple(placed: tuple[Placed, ...]) -> None: ...
async def any_event(placed: Event) -> None: ...
async def no_return(placed: Placed): ...
async def bare(placed) -> None: ...
async def stars(placed: Placed, *rest: int) -> None: ...
async def more_stars(placed: Placed, **rest: int) -> None: ...
async def by_position(placed: Placed, /) -> None: ...
async def returns_int(placed: Placed) -> int: ...
async def returns_other(placed: Placed) -> Shipped | Unrelated: ...
async def returns_base(placed: Placed) -> Event: ...
async def returns_bare_list(placed: Placed) -> list: ...
async def returns_other_list(placed: Placed) -> list[Unrelated]: ...
async def returns_optional_list(placed: Placed) -> list[Shipped] | None: ...
async def returns_list_of_none(placed: Placed) -> list[Shipped | None]: ...
async def returns_open_tuple(placed: Placed) -> tuple[Shipped, ...]: ...
async def returns_empty_tuple(placed: Placed) -> tuple[()]: ...
async def returns_tuple_of_either(placed: Placed) -> tuple[Shipped | Placed, Shipped]: ...
async def stream_without_yield(placed: Placed) -> AsyncIterator[Shipped]: ...
async def yields_one(placed: Placed) -> Shipped:
    yield Shipped(order_id="1")


def yields_in_thread(placed: Placed) -> Iterator[Shipped]:
    yield Shipped(order_id="1")


def awaitable(placed: Placed) -> Coroutine[None, None, Shipped]: ...
def sync_transaction(placed: Placed, tx: Transaction) -> None: ...
def unresolved(placed: "Nowhere") -> None: ...  # noqa: F821


def thread_wrapper(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@thread_wrapper
async def wrapped(placed: Placed) -> None: ...


GRAMMAR = "`None`, `A`, `A | B`, `A | None`, `tuple[A, B]`, `list[A | B]` or `AsyncIterator[A | B]`"
RETURNS = f"is not an event. What it returns is {GRAMMAR}, where A and B derive from minuet.Event or"
ONE_EVENT = "which is more than events. Write `A` or `A | B`"

REFUSALS = [
    (no_event, "takes no event: none of its parameters (tx: Transaction, count: int) is annotated with one."),
    (no_parameter, "takes no event: it has no parameters."),
    (
        two_events,
        "takes more than one event (placed and shipped). Joins are not supported yet: take one event",
    ),
    (batch, "takes a batch (placed: list[Placed]). Batches are not supported yet: take one event"),
    (batch_of_either, "takes a batch (placed: list[Placed | Shipped]). Batches are not supported yet"),
    (event_or_none, f"has the event parameter placed: Placed | None, {ONE_EVENT}"),
    (event_or_other, f"has the event parameter placed: Placed | int, {ONE_EVENT}"),
    (event_in_tuple, f"has the event parameter placed: tuple[Placed, ...], {ONE_EVENT}"),
    (any_event, "takes no event: none of its parameters (placed: Event) is annotated with one."),
    (
        no_return,
        f"does not say what it emits. Write its return annotation: {GRAMMAR}; `-> None` for nothing.",
    ),
    (bare, "has a parameter 'placed' without an annotation. A parameter is filled by its type: annotate it"),
    (stars, "has *rest. Every parameter is filled by its type: name each one."),
    (more_stars, "has **rest. Every parameter is filled by its type: name each one."),
    (
        by_position,
        "has the positional-only parameter 'placed'. Parameters are passed by name: remove the `/`",
    ),
    (returns_int, f"returns int, which {RETURNS}"),
    (returns_other, f"returns Shipped | Unrelated, in which Unrelated {RETURNS}"),
    (returns_base, f"returns Event, which {RETURNS}"),
    (returns_bare_list, f"returns list, which {RETURNS}"),
    (returns_other_list, f"returns list[Unrelated], in which Unrelated {RETURNS}"),
    (returns_optional_list, f"returns list[Shipped] | None, in which list[Shipped] {RETURNS}"),
    (returns_list_of_none, f"returns list[Shipped | None], in which None {RETURNS}"),
    (returns_open_tuple, f"returns tuple[Shipped, ...], which {RETURNS}"),
    (returns_empty_tuple, f"returns tuple[()], which {RETURNS}"),
    (
        returns_tuple_of_either,
        f"returns tuple[Shipped | Placed, Shipped], in which Shipped | Placed {RETURNS}",
    ),
    (
        stream_without_yield,
        "returns AsyncIterator[Shipped] and yields nothing. A stream is an `async def` that",
    ),
    (yields_one, "yields and is annotated Shipped. What yields events returns AsyncIterator[...]."),
    (
        yields_in_thread,
        "is a generator. Return a list, or make it an `async def` that yields AsyncIterator[...].",
    ),
    (awaitable, "is annotated Coroutine[None, None, Shipped]. Make it `async def` and say what it gives."),
    (
        sync_transaction,
        "takes a Transaction, whose methods are awaited, and is not `async`. Make it `async def`",
    ),
    (unresolved, "has an annotation that names 'Nowhere', which is not known when the function is declared."),
    (wrapped, "is an `async` function inside a decorator that is not, so it would run in a worker thread."),
]


@pytest.mark.parametrize(("function", "sentence"), REFUSALS, ids=[function.__name__ for function, _ in REFUSALS])
def test_a_signature_that_says_too_little_or_too_much_is_refused(function, sentence):
    """Each mistake in a signature is an error at decoration: place, name, what is wrong, what to do."""
    service = Service("shipping")
    with pytest.raises(DeclarationError) as refused:
        service.reaction(function)
    told = str(refused.value)
    assert told.startswith(f"{place_of(function)}: Reaction shipping.{function.__name__} {sentence}")
    assert service.reactions == ()


def question(placed: Placed, count: int) -> bool: ...
def other_question(shipped: Shipped) -> bool: ...
async def async_question(placed: Placed) -> bool: ...


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"retry": 5}, 'has retry=5. Write retry=retry(times=5, first="1s", most="1m").'),
        ({"never": "CardStolen"}, "has never='CardStolen', which is not an exception type. Write the class"),
        ({"never": int}, "has never=int, which is not an exception type."),
        ({"never": (ValueError, 3)}, "has never=3, which is not an exception type."),
        ({"never": KeyboardInterrupt}, "has never=KeyboardInterrupt, which is not an exception type."),
        (
            {"guarantee": "exactly_once"},
            "has guarantee='exactly_once'. It is one of effectively_once, at_least_once",
        ),
        ({"on_dead_letter": "stop"}, "has on_dead_letter='stop'. It is one of continue, hold."),
        ({"concurrency": 0}, "has concurrency=0. It is how many run at once: 1 or more."),
        ({"concurrency": True}, "has concurrency=True. It is how many run at once: 1 or more."),
        ({"concurrency": 1.5}, "has concurrency=1.5. It is how many run at once: 1 or more."),
        ({"when": "big"}, "has when='big'. It is a plain function of the event that says yes or no."),
        (
            {"when": async_question},
            "has when=async_question. It is a plain function of the event that says yes",
        ),
        ({"when": question}, "has when=question, which cannot be called with the event alone."),
        ({"when": other_question}, "takes Placed.v1 and has when=other_question, which does not."),
    ],
)
def test_a_keyword_that_cannot_be_meant_is_refused(keywords, sentence):
    """Each wrong keyword is an error at decoration too, also for those who run no type checker."""

    async def ship(placed: Placed) -> None: ...

    service = Service("shipping")
    with pytest.raises(DeclarationError) as refused:
        service.reaction(**keywords)(ship)
    assert str(refused.value).startswith(f"{place_of(ship)}: Reaction shipping.ship {sentence}")


def test_a_predicate_may_accept_more_than_is_taken():
    """A `when` that is annotated wider than the reaction, or not at all, is taken at its word."""

    def wide(event: Placed | Shipped) -> bool: ...

    service = Service("shipping")

    @service.reaction(when=wide)
    async def ship(placed: Placed) -> None: ...

    def of_a_base(event: Placed) -> bool: ...

    @service.reaction(when=of_a_base)
    async def hurry(express: Express) -> None: ...

    @service.reaction(when=lambda placed: placed.order_id != "")
    async def print_label(placed: Placed) -> None: ...

    assert [reaction.name for reaction in service.reactions] == ["ship", "hurry", "print_label"]


@pytest.mark.parametrize("thing", [Unrelated(), Unrelated, functools.partial(no_event), print])
def test_a_reaction_is_a_plain_function(thing):
    """Classes, partials and built-ins are refused with the service's name; they have no line of their own."""
    with pytest.raises(DeclarationError, match=r"Service shipping was given .* A reaction is a plain function"):
        Service("shipping").reaction(thing)


def test_a_lambda_has_no_name_to_be_known_by():
    """What a reaction handled is remembered under its name, so it must have one."""

    async def ship(placed: Placed) -> None: ...

    ship.__name__ = "<lambda>"
    with pytest.raises(DeclarationError, match=r"has no name\. A reaction is known by its function's name"):
        Service("shipping").reaction(ship)


def test_a_name_is_not_too_long():
    """What a reaction handled is looked up under its name, which has 100 characters at most."""

    async def ship(placed: Placed) -> None: ...

    ship.__name__ = "s" * 101
    with pytest.raises(DeclarationError, match="has a name of 101 characters"):
        Service("shipping").reaction(ship)
    ship.__name__ = "s" * 100
    assert Service("shipping").reaction(ship) is ship


def test_a_name_belongs_to_one_reaction():
    """The second function of one name in a service is refused, and the first one stays."""
    service = Service("shipping")

    async def ship(placed: Placed) -> None: ...

    service.reaction(ship)
    with pytest.raises(DeclarationError) as refused:
        service.reaction(ship)
    assert str(refused.value) == (
        f"{place_of(ship)}: Reaction shipping.ship has the name of the one declared at "
        f"{place_of(ship)}. What it handled is remembered under that name: rename one of them."
    )
    assert len(service.reactions) == 1


def test_an_inherited_contract_is_not_ones_own():
    """A subclass of an event is a contract of its own, and not the event that it derives from."""
    service = Service("shipping")

    @service.reaction
    async def ship(express: Express) -> None: ...

    assert [taken.type for reaction in service.reactions for taken in reaction.takes] == ["Express.v1"]
