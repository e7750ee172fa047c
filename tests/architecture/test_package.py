"""The package as it is built and installed."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points

import pytest

from tests.architecture.repository import PACKAGE, ROOT, files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_wheel_holds_every_file_of_the_package(tmp_path) -> None:
    """Every file beneath the package is in the wheel: its SQL, its data, its type marker."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("minuet/")}
    package = {
        file.relative_to(PACKAGE.parent).as_posix() for file in files() if file.is_relative_to(PACKAGE)
    }
    assert held == package
    assert "minuet/py.typed" in held


@pytest.mark.parametrize("group", ["console_scripts", "minuet.brokers", "minuet.stores"])
def test_an_entry_point_leads_somewhere(group) -> None:
    """Everything that the package announces can be loaded."""
    ours = [point for point in entry_points(group=group) if point.value.startswith("minuet.")]
    assert ours
    assert all(callable(point.load()) for point in ours)


def test_importing_the_package_loads_no_one_elses_machinery() -> None:
    """`import minuet` is quick: the command line's and the payloads' libraries load on use."""
    code = "import sys, minuet; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert (
        loaded
        & {"attr", "attrs", "hypothesis", "pydantic", "pytest", "rich", "typer", "uvloop", "watchfiles"}
        == set()
    )


@pytest.mark.parametrize("name", ["dev", "run"])
def test_locked_requirements_are_exact_and_hashed(name) -> None:
    """Each locked requirement names one version and its hashes, and all that the package needs is there."""
    locked = re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{name}.txt").read_text())
    assert [
        line for line in locked if not re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:", line, re.DOTALL)
    ] == []
    names = {line.partition("==")[0] for line in locked}
    assert {re.split(r"[>=<\[;]", requirement)[0] for requirement in PROJECT["dependencies"]} <= names
