"""The repository as these tests look at it: its files, and their syntax trees."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "minuet"


# What running, testing and building leave behind, and version control's own.
LEFT_BEHIND = {"__pycache__", "build", "dist"}
KEPT_HIDDEN = {".ci", ".gitignore"}


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository; not what runs leave behind."""
    found: list[Path] = []
    for directory, below, names in os.walk(ROOT):
        below[:] = sorted(name for name in below if name not in LEFT_BEHIND and _is_ours(name))
        found += (Path(directory, name) for name in sorted(names) if _is_ours(name))
    return tuple(found)


def _is_ours(name: str) -> bool:
    return name in KEPT_HIDDEN or not name.startswith(".")


def modules(*directories: str) -> list[Path]:
    """The Python files under these directories of the repository."""
    return [
        file
        for file in files()
        if file.suffix == ".py" and str(file.relative_to(ROOT)).startswith(tuple(f"{name}/" for name in directories))
    ]


@cache
def tree_of(file: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def functions_of(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function in the file, nested ones and methods too."""
    return (node for node in ast.walk(tree_of(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def called(node: ast.Call) -> str:
    """The dotted name of what is called: `time.sleep`; empty for what has no name."""
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""


def at(file: Path, node: ast.AST) -> str:
    """Where a node stands: `src/minuet/app.py:12`."""
    return f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
