"""What the verbs' help has in common: options that several have, and how examples are shown."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
AppReference = Annotated[
    str | None,
    typer.Argument(metavar="APP", help="MODULE:ATTRIBUTE; by default what pyproject.toml says.", show_default=False),
]
Database = Annotated[
    Path | None,
    typer.Option("--db", metavar="FILE", help="The SQLite file that is both broker and store.", show_default=False),
]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Where the services keep their state.", show_default=False)
]
BrokerUrl = Annotated[
    str | None,
    typer.Option(
        "--broker", metavar="URL", help="Where events travel; by default where the store is.", show_default=False
    ),
]


def examples(lines: str) -> str | None:
    """Examples as the end of a help text, line by line as they are; None for none."""
    return f"Examples:\n\n\b\n{lines.strip()}" if lines else None
