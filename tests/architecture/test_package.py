"""The package as it is built and installed."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.architecture.repository import PACKAGE, ROOT, files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# What the command line, payload adapters and tests use, and declarations do without.
OTHERS = {"attr", "attrs", "hypothesis", "pydantic", "pytest", "rich", "typer", "uvloop", "watchfiles"}


def locked(file: Path) -> list[str]:
    """The requirements of a locked file, each with its hashes."""
    return re.split(r"\n(?=\S)", file.read_text())


def test_the_wheel_holds_every_file_of_the_package(tmp_path) -> None:
    """Every file beneath the package is in the wheel: its SQL, its data, its type marker."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("minuet/")}
    package = {file.relative_to(PACKAGE.parent).as_posix() for file in files() if file.is_relative_to(PACKAGE)}
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
    assert loaded & OTHERS == set()


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.stem)
def test_a_locked_requirement_is_one_version_with_its_hashes(file) -> None:
    """Whoever installs them gets what we tested, byte for byte."""
    exact = re.compile(r"[a-z0-9-]+==\S+ .*--hash=sha256:", re.DOTALL)
    assert [requirement for requirement in locked(file) if not exact.match(requirement)] == []


@pytest.mark.parametrize("name", ["dev", "run"])
def test_what_the_package_needs_is_locked(name) -> None:
    """The package's dependencies are all among the locked requirements."""
    names = {requirement.partition("==")[0] for requirement in locked(ROOT / "requirements" / f"{name}.txt")}
    assert {re.split(r"[>=<\[;]", needed)[0] for needed in PROJECT["dependencies"]} <= names
