"""The pure half takes no clock and no chance by a door that imports do not show."""

import ast

from tests.architecture.repository import PACKAGE, ROOT, at, called, modules, tree_of

PURE = [f"src/minuet/{name}" for name in ("choreography", "contracts", "core", "policies", "service")]
IMPURE = {"now", "today", "utcnow", "uuid1", "uuid4", "urandom", "open", "print", "input"}


def test_the_pure_half_asks_nobody_for_the_time_or_an_id() -> None:
    """Moments, ids and chances are handed to pure code; `datetime.now()` and `uuid4()` are the shell's."""
    found = [
        f"{at(file, node)} {called(node)}"
        for file in modules(*PURE)
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Call) and called(node).rpartition(".")[2] in IMPURE
    ]
    assert found == []


def test_the_pure_half_is_where_this_test_looks() -> None:
    """The packages named here exist, so that the test above cannot pass by looking nowhere."""
    assert all((ROOT / directory / "__init__.py").exists() for directory in PURE), sorted(PACKAGE.iterdir())
