"""How many workflows a second do five services do where PostgreSQL alone is broker and store?"""

from benchmarks.question import Program, Question, Ratio, Row

PER_S = "workflows/s"

QUESTION = Question(
    name="chain_postgres",
    asks="five services in a chain in one PostgreSQL database, every commit synchronous",
    rows=(
        Row(
            "ceiling",
            PER_S,
            "the same SQL batched by hand, no framework, nothing read (the ceiling)",
            ("ceiling_asyncpg", "ceiling_psycopg"),
        ),
        Row("ceiling_asyncpg", PER_S),
        Row("ceiling_psycopg", PER_S),
        Row("ceiling_rows", PER_S, "the same, an INSERT for each state row, as users write them"),
        Row("dbos", PER_S, "DBOS on PostgreSQL, five transactions, as documented"),
        Row("dbos_serial", PER_S, "DBOS on PostgreSQL, one workflow after another"),
        Row("faststream", PER_S, "FastStream on NATS, one INSERT a message, no guarantee"),
        Row("faststream_outbox", PER_S, "FastStream on NATS, inbox and outbox by hand"),
        Row("minuet", PER_S, "minuet"),
    ),
    programs=(
        Program("by_hand_postgres", "ceiling_asyncpg", ("ceiling_asyncpg",), workflows=20_000, by_peers=True),
        Program("by_hand_postgres", "ceiling_psycopg", ("ceiling_psycopg",), workflows=20_000, by_peers=True),
        Program("minuet_on_servers", "minuet_postgres", ("minuet",), workflows=20_000),
        Program("by_hand_postgres", "ceiling_rows", ("ceiling_rows",), workflows=20_000, by_peers=True),
        Program("on_faststream", "nats_insert", ("faststream",), workflows=2_000, by_peers=True),
        Program("on_faststream", "nats_outbox", ("faststream_outbox",), workflows=1_500, by_peers=True),
        Program("on_dbos", "dbos_postgres", ("dbos",), workflows=150, by_peers=True),
        Program("on_dbos", "dbos_postgres_serial", ("dbos_serial",), workflows=150, by_peers=True),
    ),
    ratios=(
        Ratio("vs_ceiling", "minuet", "ceiling", at_least=0.35),
        Ratio("vs_ceiling_rows", "minuet", "ceiling_rows"),
        Ratio("vs_faststream", "minuet", "faststream", at_least=20),
        Ratio("vs_faststream_outbox", "minuet", "faststream_outbox"),
        Ratio("vs_dbos", "minuet", "dbos"),
        Ratio("vs_dbos_serial", "minuet", "dbos_serial"),
    ),
    servers=("postgres",),
)
