"""Every question, in the order of asking."""

from benchmarks import (
    chain_kafka,
    chain_postgres,
    chain_rabbitmq,
    chain_sqlite,
    idle_hop_sqlite,
    idle_hops,
    import_time,
    million_sqlite,
)

QUESTIONS = (
    chain_sqlite.QUESTION,
    chain_postgres.QUESTION,
    chain_kafka.QUESTION,
    chain_rabbitmq.QUESTION,
    idle_hop_sqlite.QUESTION,
    idle_hops.POSTGRES,
    idle_hops.KAFKA,
    idle_hops.RABBITMQ,
    million_sqlite.QUESTION,
    import_time.QUESTION,
)
