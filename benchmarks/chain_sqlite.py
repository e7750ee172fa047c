"""How many workflows a second do five services do on one SQLite file, and how much could the disk do?"""

from benchmarks.question import Program, Question, Ratio, Row

PER_S = "workflows/s"

QUESTION = Question(
    name="chain_sqlite",
    asks="five services in a chain on one SQLite file, every commit synchronous",
    rows=(
        Row(
            "ceiling",
            PER_S,
            "the same SQL batched by hand, no framework (the ceiling)",
            ("ceiling_execute", "ceiling_executemany"),
        ),
        Row("ceiling_execute", PER_S),
        Row("ceiling_executemany", PER_S),
        Row("commit_per_hop", PER_S, "the same SQL, one commit a hop, by hand"),
        Row("dbos", PER_S, "DBOS on SQLite, five transactions, as documented"),
        Row("dbos_tuned", PER_S, "DBOS on SQLite, write-ahead log, one workflow after another"),
        Row("minuet", PER_S, "minuet"),
        Row("minuet_sleep", PER_S, "minuet, one of the five reactions awaiting 5 ms"),
    ),
    programs=(
        Program("by_hand", "ceiling_execute", ("ceiling_execute",), workflows=20_000),
        Program("by_hand", "ceiling_executemany", ("ceiling_executemany",), workflows=20_000),
        Program("minuet_chain", "minuet", ("minuet",), workflows=20_000),
        Program("minuet_chain", "minuet_sleep", ("minuet_sleep",), workflows=20_000),
        Program("by_hand", "commit_per_hop", ("commit_per_hop",), workflows=1_500),
        Program("on_dbos", "dbos", ("dbos",), workflows=100, by_peers=True),
        Program("on_dbos", "dbos_tuned", ("dbos_tuned",), workflows=150, by_peers=True),
    ),
    ratios=(
        Ratio("vs_ceiling", "minuet", "ceiling", at_least=0.35),
        Ratio("vs_commit_per_hop", "minuet", "commit_per_hop", at_least=8),
        Ratio("vs_dbos", "minuet", "dbos", at_least=300),
        Ratio("vs_dbos_tuned", "minuet", "dbos_tuned"),
        Ratio("sleep_vs_plain", "minuet_sleep", "minuet", at_least=0.5),
    ),
)
