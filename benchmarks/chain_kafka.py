"""How many workflows a second do five services do on Kafka, with PostgreSQL as store?"""

from benchmarks.question import Program, Question, Ratio, Row

PER_S = "workflows/s"

QUESTION = Question(
    name="chain_kafka",
    asks="five services in a chain on Kafka with PostgreSQL, every commit synchronous, acks=all",
    rows=(
        Row("raw", PER_S, "confluent-kafka by hand, batches of 500: inbox, state and outbox in one commit"),
        Row("raw_in_flight", PER_S, "the same, fed as minuet is: at most 4,000 workflows in flight"),
        Row("raw_alone", PER_S, "confluent-kafka by hand without a database, no guarantee"),
        Row(
            "faststream",
            PER_S,
            "FastStream on Kafka, one INSERT a message, no guarantee",
            ("faststream_default", "faststream_workers"),
        ),
        Row("faststream_default", PER_S),
        Row("faststream_workers", PER_S),
        Row("faststream_outbox", PER_S, "FastStream on Kafka, inbox and outbox by hand"),
        Row("minuet", PER_S, "minuet"),
    ),
    programs=(
        Program("raw_kafka", "kafka_raw", ("raw",), workflows=20_000, by_peers=True),
        Program("minuet_on_servers", "minuet_kafka", ("minuet",), workflows=10_000),
        Program("raw_kafka", "kafka_raw_in_flight", ("raw_in_flight",), workflows=20_000, by_peers=True),
        Program("raw_kafka", "kafka_raw_alone", ("raw_alone",), workflows=20_000, by_peers=True),
        Program("on_faststream", "kafka_insert", ("faststream_default",), workflows=500, by_peers=True),
        Program("on_faststream", "kafka_workers_insert", ("faststream_workers",), workflows=1_000, by_peers=True),
        Program("on_faststream", "kafka_outbox", ("faststream_outbox",), workflows=500, by_peers=True),
    ),
    ratios=(
        Ratio("vs_raw", "minuet", "raw", at_least=0.5),
        Ratio("vs_raw_in_flight", "minuet", "raw_in_flight"),
        Ratio("vs_faststream", "minuet", "faststream"),
        Ratio("vs_faststream_outbox", "minuet", "faststream_outbox", at_least=15),
    ),
    servers=("postgres", "kafka"),
)
