"""The command line teaches itself: verbs, examples, exit codes."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.acceptance.command import minuet

VERBS = ["new", "run", "demo", "graph", "trace", "dlq", "doctor"]


@pytest.mark.parametrize("arguments", [[], ["--help"]], ids=["bare", "--help"])
def test_help_lists_every_verb(tmp_path, arguments):
    """Asked for nothing or for help, the command says what it can do."""
    done = minuet(*arguments, cwd=tmp_path, status=0 if arguments else 2)
    assert all(f"\n  {verb} " in done.stdout + done.stderr for verb in VERBS)


@pytest.mark.parametrize("verb", [*VERBS, "dlq list", "dlq show", "dlq redrive", "dlq discard", "demo order"])
def test_every_verb_has_help(tmp_path, verb):
    """Each verb says what it is for, and which options it takes."""
    done = minuet(*verb.split(), "--help", cwd=tmp_path)
    assert f"Usage: minuet {verb}" in done.stdout
    assert "--json" in done.stdout or verb == "dlq"


@pytest.mark.parametrize("verb", ["new", "run", "graph", "trace", "doctor", "dlq redrive"])
def test_help_shows_examples_that_can_be_copied(tmp_path, verb):
    """Examples stand line by line, as they are typed."""
    help_text = minuet(*verb.split(), "--help", cwd=tmp_path).stdout
    examples = help_text.partition("Examples:")[2].split("\n\n")[1].splitlines()
    assert examples
    assert all(line.startswith(("  minuet ", "  cd ")) for line in examples)


def test_help_loads_no_runtime():
    """Help is quick, because only the verb that is asked for is imported."""
    code = "import sys; from minuet.cli.main import command_line; command_line(None); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "minuet.cli.main" in loaded
    assert not {"asyncio", "minuet.app", "minuet.runtime", "sqlite3"} & set(loaded)


def test_the_version_is_the_packages(tmp_path):
    """`--version` needs no verb."""
    assert minuet("--version", cwd=tmp_path).stdout == f"minuet {version('minuet')}\n"


@pytest.mark.parametrize("arguments", [["dance"], ["run", "--dance"], ["run", "--workers", "0"]])
def test_what_is_not_understood_ends_with_status_2(tmp_path, arguments):
    """Programs can tell a wrong command from one that failed."""
    assert "Usage: minuet" in minuet(*arguments, cwd=tmp_path, status=2).stderr


def test_output_that_nobody_reads_is_no_traceback(tmp_path):
    """`minuet ... | head` ends quietly."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "minuet.cli.main", "graph", "minuet.examples.order_fulfilment.app:app"]
    with os.fdopen(writer, "wb") as nowhere:
        done = subprocess.run(command, cwd=tmp_path, stdout=nowhere, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
