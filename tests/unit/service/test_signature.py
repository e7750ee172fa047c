"""What a function's signature says, as the reaction that is read from it."""

import functools
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import pytest

from minuet import Context, Event, Retry, Service, Transaction, Writes, contract, retry
from minuet.errors import place_of
from minuet.service.emission import compile_emission
from minuet.service.reaction import Need, Reaction, Shape


class OrderPlaced(Event, key="order_id"):
    """A customer committed to buy."""

    order_id: str


class OrderCancelled(Event, key="order_id"):
    order_id: str


class PaymentCaptured(Event, version=2, key="order_id"):
    order_id: str


class PaymentDeclined(Event, key="order_id"):
    order_id: str


@contract(key="order_id")
@dataclass(frozen=True)
class ReturnRequested:
    order_id: str


class Bank:
    pass


class CardStolen(Exception):
    pass


def only(service: Service) -> Reaction:
    [reaction] = service.reactions
    return reaction


@pytest.fixture
def payments() -> Service:
    return Service("payments", owns=[PaymentCaptured, PaymentDeclined])


def test_a_reaction_is_read_off_its_function(payments):
    """One line gives what is taken, needed and emitted, and the function is handed back as it was."""

    async def charge(order: OrderPlaced, tx: Transaction, bank: Bank) -> PaymentCaptured | PaymentDeclined:
        """Take the money."""
        return PaymentCaptured(order_id=order.order_id)

    assert payments.reaction(charge) is charge
    reaction = only(payments)
    assert reaction.id == "payments.charge"
    assert reaction.function is charge
    assert reaction.event_parameter == "order"
    assert [taken.type for taken in reaction.takes] == ["OrderPlaced.v1"]
    assert reaction.needs == (Need("tx", Transaction), Need("bank", Bank))
    assert reaction.emits.shape is Shape.ONE
    assert reaction.is_async
    assert reaction.meaning == "Take the money."


def test_a_reaction_reads_as_its_signature(payments):
    """The repr of a reaction names it, what it takes and emits in their versions, and where it stands."""

    @payments.reaction
    async def charge(order: OrderPlaced) -> PaymentCaptured | PaymentDeclined:
        return PaymentCaptured(order_id=order.order_id)

    assert repr(only(payments)) == (
        f"<Reaction payments.charge(OrderPlaced.v1) -> PaymentCaptured.v2 | PaymentDeclined.v1 at {place_of(charge)}>"
    )


def test_the_keywords_have_defaults(payments):
    """A bare decorator leaves guarantee and dead letters to the contract and retries five times."""

    @payments.reaction
    async def charge(order: OrderPlaced) -> None: ...

    reaction = only(payments)
    assert reaction.retry == retry()
    assert reaction.never == ()
    assert reaction.guarantee is None
    assert reaction.when is None
    assert reaction.concurrency == 100
    assert reaction.on_dead_letter is None


def test_the_keywords_are_kept(payments):
    """Every keyword of the decorator is found on the reaction; a lone exception becomes a tuple of one."""

    def large(order: OrderPlaced) -> bool:
        return order.order_id != ""

    @payments.reaction(
        retry=retry(times=2, first="5s", most="10s"),
        never=CardStolen,
        guarantee="at_least_once",
        when=large,
        concurrency=3,
        on_dead_letter="hold",
    )
    async def charge(order: OrderPlaced) -> None: ...

    reaction = only(payments)
    assert reaction.retry == Retry(2, 5.0, 10.0)
    assert reaction.never == (CardStolen,)
    assert reaction.guarantee == "at_least_once"
    assert reaction.when is large
    assert reaction.concurrency == 3
    assert reaction.on_dead_letter == "hold"


def test_either_of_two_events_is_one_parameter(payments):
    """A union of events in a parameter takes either of them, also a payload class that is no Event."""

    @payments.reaction
    async def refund(why: OrderCancelled | ReturnRequested) -> None: ...

    assert [taken.type for taken in only(payments).takes] == ["OrderCancelled.v1", "ReturnRequested.v1"]


def test_the_event_may_stand_anywhere(payments):
    """The event's parameter is found by its type, not by its position, and may be keyword-only."""

    @payments.reaction
    async def charge(bank: Bank, *, order: OrderPlaced, context: Context) -> None: ...

    reaction = only(payments)
    assert reaction.event_parameter == "order"
    assert reaction.needs == (Need("bank", Bank), Need("context", Context))


def test_a_default_makes_a_need_optional(payments):
    """A parameter with a default can be left to it where nobody provides its type."""

    @payments.reaction
    async def charge(order: OrderPlaced, limit: int = 5) -> None: ...

    assert only(payments).needs == (Need("limit", int, optional=True),)


def test_a_plain_function_runs_in_a_thread(payments):
    """A `def` is a reaction as well, marked as not async; it may take Writes."""

    @payments.reaction
    def charge(order: OrderPlaced, writes: Writes) -> PaymentCaptured:
        return PaymentCaptured(order_id=order.order_id)

    assert not only(payments).is_async


async def nothing(order: OrderPlaced) -> None: ...
async def one(order: OrderPlaced) -> PaymentCaptured: ...
async def either(order: OrderPlaced) -> PaymentCaptured | PaymentDeclined: ...
async def perhaps(order: OrderPlaced) -> PaymentCaptured | None: ...
async def perhaps_either(order: OrderPlaced) -> PaymentCaptured | PaymentDeclined | None: ...
async def both(order: OrderPlaced) -> tuple[PaymentCaptured, ReturnRequested]: ...
async def twice(order: OrderPlaced) -> tuple[PaymentCaptured, PaymentCaptured]: ...
async def many(order: OrderPlaced) -> list[PaymentCaptured | PaymentDeclined]: ...
async def stream(order: OrderPlaced) -> AsyncIterator[PaymentCaptured | PaymentDeclined]:
    yield PaymentCaptured(order_id=order.order_id)


async def generator(order: OrderPlaced) -> AsyncGenerator[PaymentCaptured, None]:
    yield PaymentCaptured(order_id=order.order_id)


@pytest.mark.parametrize(
    ("function", "shape", "written"),
    [
        (nothing, Shape.NOTHING, "None"),
        (one, Shape.ONE, "PaymentCaptured.v2"),
        (either, Shape.ONE, "PaymentCaptured.v2 | PaymentDeclined.v1"),
        (perhaps, Shape.MAYBE, "PaymentCaptured.v2 | None"),
        (perhaps_either, Shape.MAYBE, "PaymentCaptured.v2 | PaymentDeclined.v1 | None"),
        (both, Shape.ALL, "tuple[PaymentCaptured.v2, ReturnRequested.v1]"),
        (twice, Shape.ALL, "tuple[PaymentCaptured.v2, PaymentCaptured.v2]"),
        (many, Shape.MANY, "list[PaymentCaptured.v2 | PaymentDeclined.v1]"),
        (stream, Shape.STREAM, "AsyncIterator[PaymentCaptured.v2 | PaymentDeclined.v1]"),
        (generator, Shape.STREAM, "AsyncIterator[PaymentCaptured.v2]"),
    ],
)
def test_a_return_annotation_has_a_shape(payments, function, shape, written):
    """Every form of the grammar is read into its shape, and reads back as it was written."""
    payments.reaction(function)
    emits = only(payments).emits
    assert emits.shape is shape
    assert repr(emits) == f"<Emission {written}>"


def test_a_decorated_function_is_read_through_its_wrapper(payments):
    """A decorator that uses functools.wraps leaves the signature and the place of the function inside."""

    def logged(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            return await function(*args, **kwargs)

        return wrapper

    @payments.reaction
    @logged
    async def charge(order: OrderPlaced) -> PaymentCaptured: ...

    reaction = only(payments)
    assert reaction.is_async
    assert reaction.event_parameter == "order"
    assert reaction.place.line == charge.__wrapped__.__code__.co_firstlineno


def test_a_reaction_equals_itself_only(payments):
    """Reactions are told apart by identity, so they can be keys of a table."""

    @payments.reaction
    async def charge(order: OrderPlaced) -> None: ...

    other = Service("payments")
    other.reaction(charge)
    assert only(payments) != only(other)
    assert len({only(payments), only(other)}) == 2
    assert compile_emission(only(other))(None) == ()
