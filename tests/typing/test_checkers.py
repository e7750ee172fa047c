"""Runs mypy and pyright, both strict and with no configuration of ours, over the public interface in use."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def mypy(project: Path, file: str) -> set[int]:
    """The lines of the file in which mypy --strict finds an error."""
    (project / "mypy.ini").write_text("[mypy]\n")
    told = run(project, "mypy", "--strict", file)
    return {int(line) for line in re.findall(rf"{re.escape(file)}:(\d+): error:", told)}


def pyright(project: Path, file: str) -> set[int]:
    """The lines of the file in which pyright's strict mode finds an error."""
    (project / "pyrightconfig.json").write_text(json.dumps({"include": [file], "typeCheckingMode": "strict"}))
    told = json.loads(run(project, "pyright", "--outputjson", "--pythonpath", sys.executable))
    assert told["summary"]["filesAnalyzed"] == 1, told
    return {found["range"]["start"]["line"] + 1 for found in told["generalDiagnostics"]}


def run(project: Path, checker: str, *arguments: str) -> str:
    """What a checker prints about a project; it must have come to a verdict."""
    command = [sys.executable, "-m", checker, *arguments]
    ran = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.stdout


CHECKERS: list[Callable[[Path, str], set[int]]] = [mypy, pyright]


@pytest.mark.parametrize("module", ["api.py", "own_transactions.py"])
@pytest.mark.parametrize("check", CHECKERS)
def test_a_users_module_is_accepted_as_it_is_written(
    check: Callable[[Path, str], set[int]], module: str, tmp_path: Path
):
    """A realistic module has no error under either checker, without a cast or an ignore."""
    shutil.copy(HERE / module, tmp_path)
    assert not re.search(r"\bcast\(|# type:|# pyright:|# noqa|\bAny\b", (HERE / module).read_text())
    assert check(tmp_path, module) == set()


@pytest.mark.parametrize("check", CHECKERS)
def test_misuse_is_refused_where_it_is_written(check: Callable[[Path, str], set[int]], tmp_path: Path):
    """Each wrong line is reported by whoever is said to, and nothing else is."""
    shutil.copy(HERE / "misuse.py", tmp_path)
    marks = ("# refused", f"# refused by {check.__name__}")
    lines = enumerate((HERE / "misuse.py").read_text().splitlines(), 1)
    assert check(tmp_path, "misuse.py") == {number for number, line in lines if line.endswith(marks)}
