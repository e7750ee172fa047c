"""What a reaction returned against what it declared: what passes, what is refused, and how that reads."""

from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet import Event, Service, UndeclaredEmission
from minuet.errors import place_of
from minuet.service.emission import check_item, compile_emission
from minuet.service.reaction import Reaction


class Placed(Event):
    order_id: str = "1"


class Paid(Event):
    order_id: str = "1"


class Declined(Event):
    order_id: str = "1"


class PaidTwice(Paid):
    """An event of its own, although it derives from another."""


async def nothing(placed: Placed) -> None: ...
async def one(placed: Placed) -> Paid: ...
async def either(placed: Placed) -> Paid | Declined: ...
async def maybe(placed: Placed) -> Paid | None: ...
async def both(placed: Placed) -> tuple[Paid, Declined]: ...
async def many(placed: Placed) -> list[Paid | Declined]: ...


async def stream(placed: Placed) -> AsyncIterator[Paid | Declined]:
    yield Paid()


def declared(function: Callable[..., object]) -> Reaction:
    service = Service("payments")
    service.reaction(function)
    return service.reactions[0]


@pytest.mark.parametrize(
    ("function", "returned", "emitted"),
    [
        (nothing, None, ()),
        (one, Paid(), (Paid(),)),
        (either, Declined(), (Declined(),)),
        (maybe, Paid(), (Paid(),)),
        (maybe, None, ()),
        (both, (Paid(), Declined()), (Paid(), Declined())),
        (many, [], ()),
        (many, [Paid(), Declined(), Paid()], (Paid(), Declined(), Paid())),
        (stream, [], ()),
        (stream, [Declined()], (Declined(),)),
    ],
)
def test_what_is_declared_is_emitted_in_order(function, returned, emitted):
    """Every shape turns what it allows into the tuple of the emitted events."""
    assert compile_emission(declared(function))(returned) == emitted


@pytest.mark.parametrize(
    ("function", "returned", "sentence"),
    [
        (nothing, Paid(), "payments.nothing may emit nothing and returned Paid."),
        (one, None, "payments.one may emit Paid.v1 and returned None."),
        (one, Declined(), "payments.one may emit Paid.v1 and returned Declined."),
        (one, PaidTwice(), "payments.one may emit Paid.v1 and returned PaidTwice."),
        (one, [Paid()], "payments.one may emit Paid.v1 and returned list[Paid]."),
        (either, "Paid", "payments.either may emit Paid.v1 | Declined.v1 and returned str."),
        (maybe, Declined(), "payments.maybe may emit Paid.v1 | None and returned Declined."),
        (maybe, False, "payments.maybe may emit Paid.v1 | None and returned bool."),
        (both, (Paid(),), "payments.both may emit tuple[Paid.v1, Declined.v1] and returned tuple[Paid]."),
        (both, (Declined(), Paid()), "tuple[Paid.v1, Declined.v1] and returned tuple[Declined, Paid]."),
        (both, [Paid(), Declined()], "tuple[Paid.v1, Declined.v1] and returned list[Paid, Declined]."),
        (both, None, "payments.both may emit tuple[Paid.v1, Declined.v1] and returned None."),
        (many, Paid(), "payments.many may emit list[Paid.v1 | Declined.v1] and returned Paid."),
        (many, (Paid(),), "payments.many may emit list[Paid.v1 | Declined.v1] and returned tuple[Paid]."),
        (many, [Paid(), None], "list[Paid.v1 | Declined.v1] and returned list[Paid, None]."),
        (many, [Paid()] * 9 + [Placed()], "and returned list[Paid, Placed], 10 in all."),
        (stream, [PaidTwice()], "AsyncIterator[Paid.v1 | Declined.v1] and returned list[PaidTwice]."),
    ],
)
def test_what_is_not_declared_is_refused(function, returned, sentence):
    """Anything else is refused in a sentence: which reaction, where, what it may emit, what it did."""
    with pytest.raises(UndeclaredEmission) as refused:
        compile_emission(declared(function))(returned)
    told = str(refused.value)
    assert told.startswith(f"{place_of(function)}: Reaction payments.{function.__name__} may emit ")
    assert sentence in told
    assert told.endswith(
        "None of it was recorded: write what it emits in its return annotation, or return what that says."
    )


def test_the_refusal_shows_no_contents():
    """A payload may be private: the message has its class, never its values."""
    with pytest.raises(UndeclaredEmission) as refused:
        compile_emission(declared(one))(Declined(order_id="secret"))
    assert "secret" not in str(refused.value)


def test_an_item_of_a_stream_is_checked_as_it_comes():
    """A declared item passes silently, an undeclared one is refused before the stream runs on."""
    reaction = declared(stream)
    check_item(reaction, Paid())
    check_item(reaction, Declined())
    with pytest.raises(UndeclaredEmission, match=r"payments\.stream may emit .* and returned PaidTwice\."):
        check_item(reaction, PaidTwice())


EVENTS = st.sampled_from([Placed(), Paid(), Declined(), PaidTwice(), None, 3, "Paid"])


@given(st.lists(EVENTS, max_size=8))
def test_a_list_passes_exactly_if_every_item_would(items):
    """For any list, the check of the whole agrees with the checks of its items, and keeps their order."""
    reaction = declared(stream)

    def passes(item: object) -> bool:
        try:
            check_item(reaction, item)
        except UndeclaredEmission:
            return False
        return True

    if all(map(passes, items)):
        assert compile_emission(reaction)(items) == tuple(items)
    else:
        with pytest.raises(UndeclaredEmission):
            compile_emission(reaction)(items)


@given(st.one_of(EVENTS, st.lists(EVENTS), st.lists(EVENTS).map(tuple)))
def test_every_check_is_total(returned):
    """Whatever a reaction returns, each shape gives events of declared classes or UndeclaredEmission."""
    for function in (nothing, one, either, maybe, both, many, stream):
        try:
            emitted = compile_emission(declared(function))(returned)
        except UndeclaredEmission:
            continue
        assert {type(event) for event in emitted} <= {Paid, Declined}
