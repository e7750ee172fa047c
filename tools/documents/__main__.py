"""Writes the documents anew, or says how they differ from what their commands print now.

`python -m tools.documents` rewrites them all; `--verify` changes nothing and ends with status 1 at a
difference; files named behind it are looked at alone.
"""

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from tools.documents.blocks import rewritten, same
from tools.documents.parts import filled
from tools.documents.performance import performed

ROOT = Path(__file__).resolve().parents[2]


def documents() -> list[Path]:
    """The documents that are run: the README, all under docs, and those of the examples."""
    examples = (ROOT / "src" / "minuet" / "examples").glob("*/README.md")
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(examples)]


def main() -> int:
    """The command's exit status: 1 if a verified document differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.documents", description=__doc__)
    parser.add_argument("--verify", action="store_true", help="change nothing; status 1 at a difference")
    parser.add_argument("files", nargs="*", type=Path, help="default: all of them")
    arguments = parser.parse_args()
    differing = 0
    for file in track([path.resolve() for path in arguments.files] or documents(), "running", transient=True):
        document = file.read_text(encoding="utf-8")
        current = written(document)
        if current == document:
            continue
        differing += 1
        if arguments.verify:
            sys.stdout.writelines(difference(file.name, document, current))
        else:
            file.write_text(current, encoding="utf-8")
    return 1 if arguments.verify and differing else 0


def difference(name: str, document: str, current: str) -> Iterator[str]:
    """The lines of a unified difference between a document as it is and as it runs."""
    was, now = document.splitlines(keepends=True), current.splitlines(keepends=True)
    return difflib.unified_diff(was, now, f"{name}, as it is", f"{name}, as it runs")


def written(document: str) -> str:
    """The document as it should be: generated tables filled in, output as it came.

    Output marked unstable stays as it is while it says the same.
    """
    document = filled(document)
    texts = [
        (block, block.text if same(block.text, text, unstable="unstable" in block.words) else text)
        for block, text in performed(document)
    ]
    return rewritten(document, texts)


if __name__ == "__main__":
    sys.exit(main())
