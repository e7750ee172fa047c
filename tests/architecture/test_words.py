"""What no file may say: the paths of somebody's machine, addresses of registries, loose ends."""

import re
from pathlib import Path

from tests.architecture.repository import ROOT, files, modules

# Put together from parts, so that this file does not say them itself.
MACHINE = re.compile(
    "|".join(
        (
            r"(?<![\w.])/" + "home/",
            r"(?<![\w.])/" + "root/",
            r"(?<![\w.])/" + "Users/",
            r"\b[A-Z]:\\" + "Users",
        )
    )
)
REGISTRY = re.compile("index" + r"-url|find" + "-links|trusted" + "-host", re.IGNORECASE)
LOOSE = re.compile(r"\b(TO" + "DO|FIX" + "ME|XX" + "X)" + r"\b|raise NotImplemented")
EMOJI = re.compile("[\U0001f300-\U0001faff]")


def said(pattern: re.Pattern[str], among: list[Path]) -> list[str]:
    """Each line of these files that the pattern finds, with its place; what is no text is passed over."""
    found: list[str] = []
    for file in among:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{file.relative_to(ROOT)}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if pattern.search(line)
        ]
    return found


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    """A home directory in a file is a leak, and works on one machine only."""
    assert said(MACHINE, list(files())) == []


def test_no_file_chooses_a_package_registry() -> None:
    """Where packages come from is the business of whoever installs them."""
    assert said(REGISTRY, [file for file in files() if file.name != "Makefile"]) == []
    assert said(re.compile("://"), sorted((ROOT / "requirements").iterdir())) == []


def test_the_package_leaves_no_loose_ends() -> None:
    """What is not built is not hinted at: no reminders and no unimplemented methods in the package."""
    assert said(LOOSE, modules("src")) == []


def test_no_file_smiles() -> None:
    """Text is text."""
    assert said(EMOJI, list(files())) == []
