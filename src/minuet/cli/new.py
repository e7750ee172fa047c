"""`minuet new`: a small project to start from, with everything that a larger one has."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from minuet.cli.options import AsJson
from minuet.cli.output import print_json
from minuet.errors import MinuetError

EXAMPLES = """
minuet new shop            a project in the new directory shop, its package called shop
cd shop && minuet run      run it
"""
TAKEN = {"minuet", "tests", "test", "events", "orders", "payments"}


def new(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that is new, or empty.")],
    as_json: AsJson = False,
) -> None:
    """Start a project: an app, two services, tests that call reactions and tests that run the app.

    It passes mypy and pyright, both strict, and runs at once. Nothing is ever overwritten.
    """
    package = package_name(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise MinuetError(f"{directory} is there already and not empty. Nothing was written: name a new directory.")
    written: list[str] = []
    for path, text in rendered(package):
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        written.append(str(path))
    if as_json:
        print_json({"directory": str(directory), "app": f"{package}.app:app", "files": written})
        return
    place = f"python -m {package}.place A1 500"
    print(f"{len(written)} files are in {directory}. Next:\n\n  cd {directory}")
    for command, does in (
        ("minuet run", "both services, until Ctrl-C"),
        (place, "in another terminal: somebody orders"),
        ("minuet trace A1", "what became of it"),
    ):
        print(f"  {command:<{len(place)}}  {does}")


def package_name(directory: Path) -> str:
    """The package's name: the directory's, as Python can import it. A usage error where that is impossible."""
    name = re.sub(r"[\s.-]+", "_", directory.resolve().name.lower())
    if not name.isidentifier() or not name.isascii():
        raise typer.BadParameter(
            f"{directory.name!r} makes no package name: it takes letters, digits and '_', a letter first.",
            param_hint="DIR",
        )
    if name in TAKEN or name in sys.stdlib_module_names:
        raise typer.BadParameter(
            f"A package called {name} would hide another one of that name. Choose another name.", param_hint="DIR"
        )
    return name


def rendered(package: str) -> Iterator[tuple[Path, str]]:
    """The project's files and their texts, with `shop` replaced by the package's name."""
    for path, template in templates(files("minuet.cli") / "template"):
        parts = [package if part == "package" else part for part in path.parts]
        parts[-1] = parts[-1].removesuffix(".in").replace("gitignore", ".gitignore")
        yield Path(*parts), re.sub(r"\bshop\b", package, template)


def templates(directory: Traversable) -> Iterator[tuple[Path, str]]:
    """The template's files and their texts, in the order of their names."""
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from ((Path(entry.name, path), text) for path, text in templates(entry))
        elif entry.name.endswith(".in"):
            yield Path(entry.name), entry.read_text(encoding="utf-8")
