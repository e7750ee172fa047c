"""SQL lives in .sql files, each statement under a `-- name: word` line."""

from __future__ import annotations

import re
from importlib.resources import files

_HEADING = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)

_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)


def load(package: str, file: str) -> dict[str, str]:
    """The named statements of a .sql file that lies in a package.

    Errors: FileNotFoundError when the file is not there; ValueError when it has no `-- name:` line.
    """
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    parts = _HEADING.split(text)
    if len(parts) < 3:
        raise ValueError(f"{file} in {package} has no '-- name: word' line")
    return {name: _COMMENT.sub("", sql).strip() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}


def split(script: str) -> list[str]:
    """The statements of a script without comments, literals with semicolons or triggers: a schema."""
    return [statement for part in script.split(";") if (statement := part.strip())]
