"""What a service provides: the type is the return annotation, whatever kind of function it is."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Protocol

import pytest

from minuet import Context, DeclarationError, Event, Service, Transaction, Writes
from minuet.errors import place_of


class Bank:
    pass


class Ledger(Protocol):
    def note(self) -> None: ...


class Placed(Event):
    order_id: str


def plain() -> Bank:
    return Bank()


async def awaited() -> Bank:
    return Bank()


def generator() -> Iterator[Bank]:
    yield Bank()


def full_generator() -> Generator[Bank, None, None]:
    yield Bank()


async def async_generator() -> AsyncIterator[Bank]:
    yield Bank()


async def full_async_generator() -> AsyncGenerator[Bank, None]:
    yield Bank()


@pytest.mark.parametrize(
    ("function", "is_async", "closes"),
    [
        (plain, False, False),
        (awaited, True, False),
        (generator, False, True),
        (full_generator, False, True),
        (async_generator, True, True),
        (full_async_generator, True, True),
    ],
)
def test_a_provider_is_a_function_of_any_kind(function, is_async, closes):
    """Sync or async, returning or yielding: each gives its type, and says how it is called and closed."""
    service = Service("payments")
    assert service.provides(function) is function
    [provider] = service.providers
    assert provider.type is Bank
    assert provider.function is function
    assert (provider.is_async, provider.closes) == (is_async, closes)
    assert repr(provider) == f"<Provider Bank at {place_of(function)}>"


def test_a_protocol_can_be_provided():
    """The type is what parameters are annotated with, so it may be a Protocol or a generic."""
    service = Service("payments")

    @service.provides
    def ledger() -> Ledger: ...

    @service.provides
    def rates() -> dict[str, int]: ...

    assert [provider.type for provider in service.providers] == [Ledger, dict[str, int]]


def test_an_iterator_that_is_returned_is_what_is_provided():
    """A function that returns an iterator without yielding provides that iterator."""
    service = Service("payments")

    @service.provides
    def numbers() -> Iterator[int]:
        return iter([1, 2])

    [provider] = service.providers
    assert provider.type == Iterator[int]
    assert not provider.closes


def takes_something(count: int) -> Bank: ...
def says_nothing(): ...
def gives_none() -> None: ...
def gives_object() -> object: ...
def gives_event() -> Placed: ...
def gives_transaction() -> Transaction: ...
def gives_context() -> Context: ...
def gives_writes() -> Writes: ...
def yields_itself() -> Bank:
    yield Bank()


async def yields_itself_too() -> Iterator[Bank]:
    yield Bank()


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (takes_something, "takes count. A provider is called without arguments."),
        (says_nothing, "does not say what it provides. Write its return annotation."),
        (gives_none, "provides None. Parameters are filled by type: say a type of its own."),
        (gives_object, "provides object. Parameters are filled by type: say a type of its own."),
        (gives_event, "provides Placed, an event. Events are taken and emitted, not provided."),
        (gives_transaction, "provides Transaction, which every reaction may take already. Remove it."),
        (gives_context, "provides Context, which every reaction may take already. Remove it."),
        (gives_writes, "provides Writes, which every reaction may take already. Remove it."),
        (yields_itself, "yields and is annotated Bank. Annotate it Iterator[T]."),
        (yields_itself_too, "yields and is annotated Iterator[Bank]. Annotate it AsyncIterator[T]."),
    ],
)
def test_what_cannot_be_provided_is_refused(function, sentence):
    """Each mistake names the provider with its place and says what to write instead."""
    with pytest.raises(DeclarationError) as refused:
        Service("payments").provides(function)
    assert str(refused.value) == f"{place_of(function)}: Provider payments.{function.__name__} {sentence}"


def test_a_type_is_provided_once():
    """Two providers of one type could not be told apart."""
    service = Service("payments")
    service.provides(plain)
    with pytest.raises(DeclarationError) as refused:
        service.provides(awaited)
    assert str(refused.value) == (
        f"{place_of(awaited)}: Provider payments.awaited provides Bank, as the one declared at {place_of(plain)} does."
    )


def test_a_provider_is_a_plain_function():
    """A class is refused, although calling it would give an instance."""
    with pytest.raises(DeclarationError, match=r"Service payments was given .*Bank.* to provide"):
        Service("payments").provides(Bank)
