"""How a program is asked to measure, and how it answers.

`python -m benchmarks.programs.<program> WAY --workflows N --directory DIR` writes its files to DIR, which is
fresh, and prints one JSON object, a number for each row, as its last line. Standard library only: the peers'
environment runs programs too, and has nothing of ours.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """What to measure: in which of the program's ways, with how many workflows, in which directory."""

    way: str
    workflows: int
    directory: Path


def asked(ways: Sequence[str]) -> Asked:
    """Read the command line; a program says which ways it has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=ways)
    parser.add_argument("--workflows", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    read = parser.parse_args()
    return Asked(way=read.way, workflows=read.workflows, directory=read.directory)


def server(name: str) -> str:
    """The URL of this run's place in a server: `postgres`, `kafka` or `rabbitmq`."""
    return os.environ[f"MINUET_{name.upper()}_URL"]


def answer(numbers: Mapping[str, float]) -> None:
    """Print what was measured: a number for each row."""
    sys.stdout.write(json.dumps(numbers) + "\n")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
