"""`minuet new`: a project that is right from its first minute."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.command import answer, minuet, running

FILES = {
    ".gitignore", "README.md", "pyproject.toml", "tests/test_flow.py", "tests/test_reactions.py",
    *(f"bakery/{name}.py" for name in ("__init__", "app", "events", "orders", "payments", "place")),
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A new project, called bakery."""
    minuet("new", "bakery", cwd=tmp_path_factory.getbasetemp())
    return tmp_path_factory.getbasetemp() / "bakery"


def tool(*command, cwd):
    """Run one of the tools that a user has; what it said."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_project_has_what_a_larger_one_has(project):
    """One app, two services, tests, and a README; the package has the directory's name."""
    there = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert there >= FILES
    assert "shop" not in "".join((project / name).read_text() for name in FILES)


def test_the_project_is_strictly_typed(project):
    """Mypy and pyright, both strict as its own pyproject.toml says, find nothing."""
    tool("mypy", "--cache-dir", str(project.parent / "mypy"), cwd=project)
    assert "0 errors" in tool("pyright", "--pythonpath", sys.executable, "-p", str(project), cwd=project)


def test_the_projects_tests_pass(project):
    """They call reactions as functions, and run the app on memory."""
    assert "5 passed" in tool("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", cwd=project)


def test_the_project_runs_at_once(project):
    """`minuet run` without a word, an order from outside, and the trace of its end."""
    with running(cwd=project) as services:
        assert services.until("started")["services"] == ["orders", "payments"]
        subprocess.run([sys.executable, "-m", "bakery.place", "A1", "500"], cwd=project, check=True)
        services.send(signal.SIGTERM)
        assert services.end() == 0
    minuet("run", "--drain", cwd=project)
    trace = answer("trace", "A1", cwd=project)
    assert (trace["state"], trace["ended_with"]) == ("ended", ["OrderConfirmed.v1"])
    minuet("doctor", cwd=project)


def test_a_directory_with_anything_in_it_is_left_alone(tmp_path):
    """Nothing is overwritten, and nothing is added."""
    (tmp_path / "bakery").mkdir()
    (tmp_path / "bakery" / "notes.txt").write_text("flour")
    error = minuet("new", "bakery", cwd=tmp_path, status=1).stderr
    assert error == "bakery is there already and not empty. Nothing was written: name a new directory.\n"
    assert [path.name for path in (tmp_path / "bakery").iterdir()] == ["notes.txt"]


def test_an_empty_directory_is_filled(tmp_path):
    """The name is made one that Python can import; programs get what was written."""
    (tmp_path / "My-Bakery").mkdir()
    done = json.loads(minuet("new", "My-Bakery", "--json", cwd=tmp_path).stdout)
    assert done["app"] == "my_bakery.app:app"
    assert all((tmp_path / "My-Bakery" / file).is_file() for file in done["files"])


@pytest.mark.parametrize("name", ["json", "minuet", "tests", "1st", "b@kery"])
def test_a_name_that_makes_no_package_is_a_usage_error(tmp_path, name):
    """It would hide another module, or could not be imported."""
    minuet("new", name, cwd=tmp_path, status=2)
    assert list(Path(tmp_path).iterdir()) == []
