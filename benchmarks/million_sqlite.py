"""Is the millionth workflow as fast as the first, in as much memory and as large a file?

A million workflows in ten slices, with the log, inbox and outbox kept for a few seconds only. The services'
own rows are a ring of 10,000 orders written over and over, filled before the first slice, so that what grows
is minuet's. Each run's last tenth is compared with its own first.

On a machine that others use too, the processor is up to half as fast again in one minute as in another. So a piece
of work that is always the same, a yard, is measured between the workflows, and the tenths are compared in yards
too: how many workflows are done in the time of a thousand.
"""

from benchmarks.question import Program, Question, Ratio, Row

SLICES = 10
NAMES = [f"{slice_:02}" for slice_ in range(1, SLICES + 1)]
NOTED = ("yard", "per_yard", "cpu", "memory", "file")

QUESTION = Question(
    name="million_sqlite",
    asks="a million workflows with short retention, in ten slices",
    rows=(
        Row("slice_01", "workflows/s", "the first tenth"),
        *(Row(f"slice_{name}", "workflows/s") for name in NAMES[1:-1]),
        Row(f"slice_{SLICES}", "workflows/s", "the last tenth"),
        Row("yard_01", "us", "what 10,000 additions in Python took meanwhile, in the first tenth"),
        Row(f"yard_{SLICES}", "us", "the same in the last tenth"),
        Row("per_yard_01", "workflows", "in the time of a thousand times those additions, in the first tenth"),
        Row(f"per_yard_{SLICES}", "workflows", "the same in the last tenth: at one speed of the processor"),
        Row("cpu_01", "us", "of this process's processor time for a workflow of the first tenth"),
        Row(f"cpu_{SLICES}", "us", "the same of the last tenth, however much of the processor others had"),
        Row("memory_01", "MiB", "resident memory after the first tenth"),
        Row(f"memory_{SLICES}", "MiB", "resident memory after the last"),
        Row("file_01", "MiB", "file and write-ahead log after the first tenth"),
        Row(f"file_{SLICES}", "MiB", "file and write-ahead log after the last"),
    ),
    programs=(
        Program(
            "minuet_million",
            "million",
            (
                *(f"slice_{name}" for name in NAMES),
                *(f"{what}_{name}" for what in NOTED for name in (NAMES[0], NAMES[-1])),
            ),
            workflows=1_000_000,
            limit_s=3_600,
        ),
    ),
    ratios=(
        Ratio("last_vs_first", f"slice_{SLICES}", "slice_01", within_runs=True, at_least=0.9),
        Ratio("last_vs_first_in_yards", f"per_yard_{SLICES}", "per_yard_01", within_runs=True),
        Ratio("cpu_last_vs_first", f"cpu_{SLICES}", "cpu_01", within_runs=True),
        Ratio("memory_last_vs_first", f"memory_{SLICES}", "memory_01", within_runs=True, at_most=1.1),
        Ratio("file_last_vs_first", f"file_{SLICES}", "file_01", within_runs=True, at_most=1.5),
    ),
)
