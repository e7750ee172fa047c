"""How much longer does an interpreter take to start for importing minuet? Fifteen of each, by turns."""

from benchmarks.question import Program, Question, Ratio, Row

QUESTION = Question(
    name="import_time",
    asks="an interpreter that imports minuet, beside an empty one",
    rows=(
        Row("empty", "ms", "an empty interpreter, start to end"),
        Row("imported", "ms", "one that imports minuet"),
        Row("extra", "ms", "what the import adds"),
    ),
    programs=(Program("importing", "import", ("empty", "imported", "extra")),),
    ratios=(Ratio("imported_vs_empty", "imported", "empty"),),
    runs=15,
    disk=False,
    at_most={"extra": 100},
)
