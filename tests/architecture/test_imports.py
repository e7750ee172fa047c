"""Who may import whom: the contracts in pyproject.toml hold, and each of them can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the package and of the contracts, in which a test may plant what is forbidden."""
    directory = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", directory)
    shutil.copytree(ROOT / "src", directory / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return directory


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    """Runs the import linter on the package under `directory`, whichever one is installed."""
    code = "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports_command as c; c()"
    command = [sys.executable, "-c", code, "--no-cache"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_the_contracts_hold() -> None:
    """The package keeps every contract."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "planted", "broken"),
    [
        (
            "brokers/planted.py",
            "import minuet.brokers.memory",
            "Adapters never know each other",
        ),
        (
            "stores/planted.py",
            "import minuet.stores.sqlite",
            "Adapters never know each other",
        ),
        (
            "databases/postgres/planted.py",
            "import minuet.databases.sqlite",
            "Databases never know each other, and what they share knows none",
        ),
        (
            "databases/statements.py",
            "import minuet.databases.sqlite",
            "Databases never know each other, and what they share knows none",
        ),
        (
            "policies/retry.py",
            "import random",
            "The pure half has no input or output, no clock, no chance",
        ),
        (
            "runtime/planted.py",
            "import sqlite3",
            "A driver library is imported only by its database",
        ),
        (
            "runtime/planted.py",
            "import minuet.brokers.memory",
            "The runtime knows adapters by their ports alone",
        ),
        (
            "contracts/planted.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import minuet.service",
            "Layers import downwards only, for typing too",
        ),
        (
            "helpers.py",
            "",
            "Layers import downwards only, for typing too",
        ),
    ],
    ids=[
        "a broker imports its sibling",
        "a store imports its sibling",
        "a database imports its sibling",
        "what databases share imports one of them",
        "a policy throws dice",
        "the runtime takes a driver",
        "the runtime takes an adapter",
        "contracts import services for typing",
        "a module stands in no layer",
    ],
)
def test_a_planted_violation_breaks_its_contract(copy, module, planted, broken) -> None:
    """Each contract fails, by its name, when what it forbids is planted in a copy of the package."""
    file = copy / "src" / "minuet" / module
    before = file.read_text() if file.exists() else None
    file.write_text(f"{before or ''}\n{planted}\n")
    try:
        done = lint_imports(copy)
    finally:
        file.unlink() if before is None else file.write_text(before)
    assert done.returncode != 0
    assert f"{broken} BROKEN" in " ".join(done.stdout.split()), done.stdout + done.stderr
