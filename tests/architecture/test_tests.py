"""The tests themselves: they say what they show, wait for signals, and use no mocks."""

import ast
from collections.abc import Iterator

from tests.architecture.repository import at, called, functions_of, modules, tree_of

SUITES = ("tests", "src/minuet/testing")


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in every test, with its place."""
    for file in modules(*SUITES):
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Call):
                yield at(file, node), node


def test_every_test_states_the_behaviour_it_shows() -> None:
    """A test has a docstring: the sentence that is false when it fails."""
    silent = [
        f"{at(file, node)} {node.name}"
        for file in modules(*SUITES)
        for node in functions_of(file)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_no_test_sleeps() -> None:
    """Tests wait for signals, never for time; a sleep of nothing only yields to the event loop."""
    sleeps = [
        place
        for place, call in calls()
        if called(call).rpartition(".")[2] == "sleep"
        and not (call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0)
    ]
    assert sleeps == []


def test_no_test_mocks_our_own_code() -> None:
    """Fakes are adapters that pass the conformance suites; nothing is patched over."""
    mocks = [
        at(file, node)
        for file in modules(*SUITES)
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Import | ast.ImportFrom) and "mock" in ast.unparse(node)
    ]
    assert mocks == []


def test_a_skipped_test_says_why() -> None:
    """A skip or an expected failure carries a reason."""
    silent = [
        place
        for place, call in calls()
        if called(call).startswith("pytest.")
        and called(call).rpartition(".")[2] in {"skip", "skipif", "xfail"}
        and not any(keyword.arg == "reason" for keyword in call.keywords)
        and not (called(call) == "pytest.skip" and call.args)
    ]
    assert silent == []
