"""Files and functions of a size that is read in one sitting, under names that say what is in them."""

import pytest

from tests.architecture.repository import ROOT, at, functions_of, modules

FILE_LINES = 400
TEST_FILE_LINES = 500
FUNCTION_LINES = 70

# Names under which anything fits, so that everything ends up there.
VAGUE = {"base", "common", "helpers", "manager", "managers", "misc", "types", "util", "utils"}


@pytest.mark.parametrize(
    ("budget", "directories"),
    [(FILE_LINES, ("src", "tools", "benchmarks")), (TEST_FILE_LINES, ("tests",))],
    ids=["product", "tests"],
)
def test_no_file_is_a_boulder(budget, directories) -> None:
    """A file longer than its budget has more than one subject."""
    sizes = {file.relative_to(ROOT): len(file.read_text().splitlines()) for file in modules(*directories)}
    assert {str(file): size for file, size in sizes.items() if size > budget} == {}


def test_no_function_is_a_scroll() -> None:
    """A function fits a screen, its docstring included."""
    long = {
        f"{at(file, node)} {node.name}": size
        for file in modules("src", "tools", "benchmarks")
        for node in functions_of(file)
        if (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


def test_no_module_has_a_name_under_which_anything_fits() -> None:
    """A file earns its name: none is called utils, common, base and the like."""
    paths = [file.relative_to(ROOT) for file in modules("src", "tools", "benchmarks", "tests")]
    assert [str(path) for path in paths if VAGUE & {*path.parent.parts, path.stem}] == []
