"""Measures a question: rounds of fresh processes on fresh files, interleaved, the disk probed around each."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import machine, peers, servers
from benchmarks.probe import Gate, syncs_per_s
from benchmarks.question import Program, Question
from benchmarks.report import Answer, answered

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".bench"
"""Where runs put their files unless told otherwise: beside the project, on a real disk, never in memory."""


class RunFailed(Exception):
    """A program ended without an answer."""


@dataclass(frozen=True)
class Settings:
    """How to measure. Anything but the defaults gives figures to look at, not to keep."""

    runs: int | None = None
    """Rounds; None is what the question asks for."""
    scale: float = 1.0
    """A factor on how many workflows each program does."""
    without: Collection[str] = ()
    """Ways to leave out, with the rows and ratios that need them."""
    gate: bool = True
    directory: Path = SCRATCH


def measure(question: Question, settings: Settings, watch: Callable[[str, int, int], None]) -> Answer:
    """Measure a question. `watch` is told what starts, how many runs are done and how many there will be."""
    programs = [program for program in question.programs if program.way not in settings.without]
    rounds = settings.runs or question.runs
    scratch = _scratch(settings.directory)
    interpreter = {False: Path(sys.executable)}
    if any(program.by_peers for program in programs):
        watch("installing peers", 0, rounds * len(programs))
        interpreter[True] = peers.python()
    gate = Gate() if settings.gate else Gate(patience_s=0)
    runs: dict[str, list[float]] = {}
    described = machine.describe(scratch)
    if question.servers:
        watch("starting servers", 0, rounds * len(programs))
    with servers.running(question.servers, scratch) as running:
        described |= running.versions()
        for number in range(rounds):
            for place, program in enumerate(programs):
                watch(program.way, number * len(programs) + place, rounds * len(programs))
                directory = Path(tempfile.mkdtemp(dir=scratch, prefix=f"{question.name}-"))
                try:
                    with running.place() as environment:
                        if question.disk:
                            runs.setdefault("fsync_before", []).append(gate.wait(directory))
                        python = interpreter[program.by_peers]
                        numbers = _start(program, python, settings.scale, directory, environment)
                        if question.disk:
                            runs.setdefault("fsync_after", []).append(syncs_per_s(directory))
                finally:
                    shutil.rmtree(directory)
                for row, value in numbers.items():
                    runs.setdefault(row, []).append(value)
    if True in interpreter:
        described |= peers.versions()
    return answered(question, described, runs)


def _scratch(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    if directory == SCRATCH:
        (directory / ".gitignore").write_text("*\n")
    return directory.resolve()


def _start(
    program: Program, interpreter: Path, scale: float, directory: Path, environment: Mapping[str, str]
) -> dict[str, float]:
    """Run a program to its end in a process of its own and read its answer."""
    command = [
        str(interpreter),
        "-m",
        f"benchmarks.programs.{program.module}",
        program.way,
        f"--workflows={max(1, round(program.workflows * scale))}",
        f"--directory={directory}",
    ]
    try:
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=program.limit_s,
        )
    except subprocess.TimeoutExpired as error:
        raise RunFailed(f"{program.way} had not ended after {program.limit_s:g} s.") from error
    if ended.returncode:
        told = "\n".join(ended.stderr.strip().splitlines()[-12:])
        raise RunFailed(f"{program.way} ended with status {ended.returncode}:\n{told}")
    numbers = msgspec.convert(json.loads(ended.stdout.strip().splitlines()[-1]), dict[str, float])
    if set(numbers) != set(program.rows):
        raise RunFailed(f"{program.way} answered rows {sorted(numbers)}, not {sorted(program.rows)}.")
    return numbers
