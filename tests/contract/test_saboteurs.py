"""The suites catch liars: each saboteur is failed by the clause that it names."""

import asyncio
import inspect

import pytest

from minuet.testing.conformance.claims import clause_of, clauses_in
from minuet.testing.conformance.suite import Suite
from minuet.testing.saboteurs import brokers, stores, subscriptions, units
from minuet.testing.saboteurs.honest import (
    HonestMemoryBroker,
    HonestMemoryStore,
    HonestSqliteBroker,
    HonestSqliteStore,
)
from minuet.testing.saboteurs.verdicts import failures

SABOTEURS = [
    suite
    for module in (subscriptions, brokers, units, stores)
    for _, suite in inspect.getmembers(module, inspect.isclass)
    if issubclass(suite, Suite) and suite.__module__ == module.__name__
]
HONEST = [HonestMemoryBroker, HonestSqliteBroker, HonestMemoryStore, HonestSqliteStore]


def name(suite) -> str:
    """The clause that catches it, and what it is."""
    return f"{suite.caught_by}-{suite.__name__}"


def quick_or_slow(suite) -> object:
    """A suite with processes to kill takes its time."""
    takes_long = issubclass(suite, HonestSqliteBroker | HonestSqliteStore)
    return pytest.param(suite, id=name(suite), marks=[pytest.mark.slow] if takes_long else [])


@pytest.mark.parametrize("saboteur", [quick_or_slow(each) for each in SABOTEURS])
def test_a_saboteur_is_caught_by_the_clause_that_it_names(saboteur, record_property) -> None:
    """Of the tests that fail against it, one at least is about the clause that forbids its lie."""
    failed = asyncio.run(failures(saboteur))
    caught = sorted({clause_of(test) for test in failed})
    record_property("caught by", caught)
    assert saboteur.caught_by in caught, f"caught by {caught} instead:\n" + "\n".join(
        f"{test}: {error}" for test, error in failed.items()
    )


@pytest.mark.parametrize("honest", [quick_or_slow(each) for each in HONEST])
def test_an_honest_adapter_is_not_caught(honest) -> None:
    """The front that saboteurs stand behind breaks no clause by itself."""
    assert asyncio.run(failures(honest)) == {}


@pytest.mark.parametrize("port", [HonestMemoryBroker, HonestMemoryStore])
def test_every_clause_catches_a_saboteur(port) -> None:
    """For each clause there is a lie that it, by name, must catch."""
    named = {saboteur.caught_by for saboteur in SABOTEURS if issubclass(saboteur, port)}
    assert set(clauses_in(port.port)) - named == set()


@pytest.mark.parametrize("saboteur", [pytest.param(each, id=name(each)) for each in SABOTEURS])
def test_a_saboteur_says_its_lie(saboteur) -> None:
    """What a saboteur does stands in a sentence."""
    assert saboteur.__doc__.endswith(".")
