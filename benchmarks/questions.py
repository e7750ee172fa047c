"""Every question, in the order of asking."""

from benchmarks import chain_postgres, chain_sqlite, idle_hop_sqlite, import_time, million_sqlite

QUESTIONS = (
    chain_sqlite.QUESTION,
    chain_postgres.QUESTION,
    idle_hop_sqlite.QUESTION,
    million_sqlite.QUESTION,
    import_time.QUESTION,
)
