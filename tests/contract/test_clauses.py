"""Ports and suites agree: every clause has tests, every test has a clause, every capability has its proof."""

import inspect

import msgspec
import pytest

from minuet.ports.broker import Capabilities
from minuet.ports.store import StoreCapabilities
from minuet.testing.conformance import BrokerConformance, StoreConformance
from minuet.testing.conformance.claims import clause_of, clauses_in, names_of_tests, requirements_of
from tools.documents.__main__ import ROOT
from tools.documents.parts import filled

SUITES = [BrokerConformance, StoreConformance]
DECLARED = {BrokerConformance: Capabilities, StoreConformance: StoreCapabilities}


@pytest.mark.parametrize("suite", SUITES)
def test_a_port_numbers_its_clauses_without_a_gap(suite) -> None:
    """The clauses of a port have ids that follow each other, each with a sentence."""
    clauses = clauses_in(suite.port)
    letter = next(iter(clauses))[0]
    assert list(clauses) == [f"{letter}{number:02}" for number in range(1, len(clauses) + 1)]
    assert len(clauses) >= 16
    assert all(sentence.endswith(".") for sentence in clauses.values())


@pytest.mark.parametrize("suite", SUITES)
def test_every_clause_has_a_test(suite) -> None:
    """A promise that nothing checks is no promise."""
    assert set(clauses_in(suite.port)) - {clause_of(test) for test in names_of_tests(suite)} == set()


@pytest.mark.parametrize("suite", SUITES)
def test_every_test_is_about_a_clause_that_exists(suite) -> None:
    """What a suite demands of an adapter stands in the port, under the id that the test's name carries."""
    assert {
        test: clause_of(test) for test in names_of_tests(suite) if clause_of(test) not in clauses_in(suite.port)
    } == {}


@pytest.mark.parametrize("suite", SUITES)
def test_every_test_says_its_behaviour_and_is_awaited(suite) -> None:
    """Each test of a suite has a docstring of its own, and is a coroutine without parameters."""
    for test in names_of_tests(suite):
        function = getattr(suite, test)
        assert (inspect.getdoc(function) or "").endswith("."), test
        assert inspect.iscoroutinefunction(function), test
        assert list(inspect.signature(function).parameters) == ["self"], test


@pytest.mark.parametrize("suite", SUITES)
def test_tests_require_capabilities_that_exist(suite) -> None:
    """A misspelt capability would keep its test from ever running."""
    named = {each.capability for test in names_of_tests(suite) for each in requirements_of(getattr(suite, test))}
    assert named - set(DECLARED[suite].__struct_fields__) == set()


@pytest.mark.parametrize("suite", SUITES)
def test_every_capability_has_a_test_that_proves_it(suite) -> None:
    """Each value that an adapter may claim is required by some test; only then can a claim be shown."""
    required = {str(each) for test in names_of_tests(suite) for each in requirements_of(getattr(suite, test))}
    claims = {claim for field in msgspec.inspect.type_info(DECLARED[suite]).fields for claim in possible(field)}
    assert claims - required == set()


def possible(field) -> list[str]:
    """What may be claimed of a capability: its name, or its name with each of its words but `none`."""
    if isinstance(field.type, msgspec.inspect.LiteralType):
        return [f"{field.name}={word}" for word in field.type.values if word != "none"]
    return [field.name]


def test_the_reference_says_what_adapters_declare_and_ports_demand() -> None:
    """The tables of capabilities and clauses in the documents are those of today; `make docs` writes them anew."""
    document = (ROOT / "docs" / "reference" / "capabilities.md").read_text()
    assert filled(document) == document
