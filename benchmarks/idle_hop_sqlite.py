"""How long does one hop take when nothing else is going on, and how much of that is the commit itself?

One workflow in flight. A hop is a fifth of the time from the call of `emit` until the fifth service's commit
has been seen by a sixth: six commits, the start event's own among them, counted as five. A bare commit is one
row inserted by hand. Both are measured by turns in one process, five commits at a time, because a hop is one
of five in a row too.
"""

from benchmarks.question import Program, Question, Ratio, Row

QUESTION = Question(
    name="idle_hop_sqlite",
    asks="one hop with one workflow in flight, beside a bare commit on the same disk",
    rows=(
        Row("hop_p50", "us", "a hop, median"),
        Row("hop_p99", "us", "a hop, 99th percentile"),
        Row("commit_p50", "us", "a bare commit by hand, median"),
        Row("commit_p99", "us", "a bare commit by hand, 99th percentile"),
    ),
    programs=(Program("minuet_idle", "idle", ("hop_p50", "hop_p99", "commit_p50", "commit_p99"), workflows=300),),
    ratios=(
        Ratio("hop_vs_commit", "hop_p50", "commit_p50", at_most=3),
        Ratio("hop_p99_vs_commit_p99", "hop_p99", "commit_p99"),
    ),
)
