"""The documents run: what they show works, and what they print is what comes out."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.documents.__main__ import ROOT, documents


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_runs_and_shows_what_came_out(document: Path) -> None:
    """Every Python block of a document runs, and every output it shows is what its command prints today."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tools.documents", "--verify", str(document)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"{document.name} is not what runs; `make docs` writes the outputs anew.\n{done.stdout}{done.stderr}"
    )
