"""Starts two interpreters, one that does nothing and one that imports minuet, and times both from outside."""

import subprocess
import sys
import time

from benchmarks.programs.measurement import answer, asked


def lasts_ms(code: str) -> float:
    """How long an interpreter lives that runs this code, in milliseconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Measure each once, after a first import that leaves the compiled files behind."""
    asked(["import"])
    lasts_ms("import minuet")
    empty = lasts_ms("")
    imported = lasts_ms("import minuet")
    answer({"empty": empty, "imported": imported, "extra": imported - empty})


if __name__ == "__main__":
    main()
