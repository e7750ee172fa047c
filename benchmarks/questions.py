"""Every question, in the order of asking."""

from benchmarks import chain_sqlite, idle_hop_sqlite, import_time, million_sqlite

QUESTIONS = (
    chain_sqlite.QUESTION,
    idle_hop_sqlite.QUESTION,
    million_sqlite.QUESTION,
    import_time.QUESTION,
)
