"""What a user can name is documented."""

import inspect
from collections.abc import Iterator

import pytest

import minuet


def undocumented(name: str, thing: object) -> Iterator[str]:
    """The dotted names, among a public name and its public methods and properties, that have no docstring."""
    if inspect.isclass(thing):
        for attribute, member in vars(thing).items():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if not attribute.startswith("_") and inspect.isfunction(function) and not inspect.getdoc(function):
                yield f"{name}.{attribute}"
    if (inspect.isclass(thing) or inspect.isroutine(thing)) and not vars(thing).get("__doc__", thing.__doc__):
        yield name


@pytest.mark.parametrize("name", sorted(minuet.__all__))
def test_a_public_name_has_a_docstring(name) -> None:
    """Every name that minuet exports, and each public method of it, has a docstring of its own."""
    assert list(undocumented(name, getattr(minuet, name))) == []


def test_the_package_exports_what_it_lists_and_nothing_else() -> None:
    """Every public name of the package is in `__all__` or is one of its modules."""
    public = {name for name, thing in vars(minuet).items() if not name.startswith("_") and not inspect.ismodule(thing)}
    assert public <= {*minuet.__all__, "TYPE_CHECKING"}
