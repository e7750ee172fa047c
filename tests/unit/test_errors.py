"""Places in the user's code, and how errors read."""

import functools

import pytest

from minuet.errors import DeclarationError, EnvelopeRejected, PayloadRejected, Place, place_of, place_of_caller


def decorated(function):
    """A decorator that wraps, as many do."""

    @functools.wraps(function)
    def wrapper():
        return function()

    return wrapper


@decorated
def somewhere() -> None:
    """Found through its decorator."""


LINE = somewhere.__wrapped__.__code__.co_firstlineno


def test_a_place_reads_as_file_and_line() -> None:
    """Editors and people understand `file:line`; without a line the file stands alone."""
    assert str(Place("shop/payments.py", 12)) == "shop/payments.py:12"
    assert str(Place("shop/payments.py", 0)) == "shop/payments.py"


@pytest.mark.parametrize(
    "subject",
    [somewhere, somewhere.__wrapped__, functools.partial(somewhere.__wrapped__)],
    ids=["wrapped", "itself", "partial"],
)
def test_a_function_is_found_through_what_wraps_it(subject) -> None:
    """A function's place is that of the function that the user wrote."""
    place = place_of(subject)
    assert place.file.endswith("unit/test_errors.py")
    assert place.line == LINE


def test_a_place_is_relative_to_where_its_module_is_imported_from() -> None:
    """Nothing of the machine is in a place: the file is as long as the module's dotted name."""
    assert place_of(place_of).file == "minuet/errors.py"
    assert place_of(functools).file == "functools.py" or place_of(functools).line == 0
    assert place_of(functools.lru_cache).file == "functools.py"
    assert place_of(pytest.MonkeyPatch).file == "_pytest/monkeypatch.py"


def test_what_has_no_place_is_called_unknown() -> None:
    """A builtin was declared nowhere that a user could look."""
    assert str(place_of(len)) == "<builtins>"


def test_a_caller_is_found_by_its_depth() -> None:
    """`place_of_caller` is for functions that report on whoever called them."""

    def asks() -> Place:
        return place_of_caller()

    def asks_further() -> Place:
        return asks_two_up()

    def asks_two_up() -> Place:
        return place_of_caller(2)

    first = test_a_caller_is_found_by_its_depth.__code__.co_firstlineno
    assert asks().line > first
    assert asks_further().line > asks().line - 2
    assert asks().file.endswith("unit/test_errors.py")


def test_a_declaration_error_begins_with_its_place() -> None:
    """With a place the message is one that an editor can follow, without one it is the sentence alone."""
    assert str(DeclarationError("No.", Place("a.py", 1))) == "a.py:1: No."
    assert str(DeclarationError("No.")) == "No."


def test_a_rejection_has_a_word_and_a_sentence() -> None:
    """`reason` is for programs and stays; the message is for people."""
    assert (EnvelopeRejected("No.").reason, str(EnvelopeRejected("No."))) == ("envelope", "No.")
    assert PayloadRejected("No.").reason == "payload"
