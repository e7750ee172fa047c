"""The generated parts about adapters: what each capability means, which clauses show it, and what every clause says."""

from collections import Counter

from minuet.ports.broker import Capabilities
from minuet.ports.store import StoreCapabilities
from minuet.testing.conformance import BrokerConformance, StoreConformance
from minuet.testing.conformance.claims import clause_of, clauses_in, names_of_tests, requirements_of
from minuet.testing.conformance.suite import Suite
from tools.documents.reference import explained, table


def broker_capabilities() -> str:
    """What a broker may claim."""
    return _capabilities(Capabilities, BrokerConformance)


def store_capabilities() -> str:
    """What a store may claim."""
    return _capabilities(StoreCapabilities, StoreConformance)


def broker_clauses() -> str:
    """What a broker owes."""
    return _clauses(BrokerConformance)


def store_clauses() -> str:
    """What a store owes."""
    return _clauses(StoreConformance)


def _capabilities(declared: type, suite: type[Suite]) -> str:
    rows = [(f"`{name}`", meaning, " ".join(_shown_by(name, suite))) for name, meaning in explained(declared)]
    return table(("capability", "meaning", "shown by"), rows)


def _shown_by(capability: str, suite: type[Suite]) -> list[str]:
    """The clauses of which a test requires this capability."""
    return sorted(
        {
            str(clause_of(test))
            for test in names_of_tests(suite)
            if capability in {required.capability for required in requirements_of(getattr(suite, test))}
        }
    )


def _clauses(suite: type[Suite]) -> str:
    tests = Counter(clause_of(test) for test in names_of_tests(suite))
    rows = [
        (clause, sentence, str(tests[clause]), _only_with(clause, suite))
        for clause, sentence in clauses_in(suite.port).items()
    ]
    return table(("clause", "what it says", "tests", "only with"), rows)


def _only_with(clause: str, suite: type[Suite]) -> str:
    """What every test of the clause requires."""
    required = [
        {f"`{each}`" for each in requirements_of(getattr(suite, test))}
        for test in names_of_tests(suite)
        if clause_of(test) == clause
    ]
    if not required:
        return ""
    return " ".join(sorted(required[0].intersection(*required[1:])))
