"""How many workflows a second do five services do on RabbitMQ, with PostgreSQL as store?"""

from benchmarks.question import Program, Question, Ratio, Row

PER_S = "workflows/s"

QUESTION = Question(
    name="chain_rabbitmq",
    asks="five services in a chain on RabbitMQ's quorum queues with PostgreSQL, every commit synchronous, confirms on",
    rows=(
        Row("raw", PER_S, "aio-pika by hand, in batches: inbox, state and outbox in one commit"),
        Row("raw_alone", PER_S, "aio-pika by hand without a database, no guarantee"),
        Row("faststream", PER_S, "FastStream on RabbitMQ, one INSERT a message, no guarantee"),
        Row("faststream_outbox", PER_S, "FastStream on RabbitMQ, inbox and outbox by hand"),
        Row("minuet", PER_S, "minuet"),
    ),
    programs=(
        Program("raw_rabbitmq", "rabbitmq_raw", ("raw",), workflows=3_000, by_peers=True),
        Program("minuet_on_servers", "minuet_rabbitmq", ("minuet",), workflows=4_000),
        Program("raw_rabbitmq", "rabbitmq_raw_alone", ("raw_alone",), workflows=3_000, by_peers=True),
        Program("on_faststream", "rabbitmq_insert", ("faststream",), workflows=1_000, by_peers=True),
        Program("on_faststream", "rabbitmq_outbox", ("faststream_outbox",), workflows=600, by_peers=True),
    ),
    ratios=(
        Ratio("vs_raw", "minuet", "raw", at_least=1),
        Ratio("vs_raw_alone", "minuet", "raw_alone"),
        Ratio("vs_faststream", "minuet", "faststream"),
        Ratio("vs_faststream_outbox", "minuet", "faststream_outbox"),
    ),
    servers=("postgres", "rabbitmq"),
)
