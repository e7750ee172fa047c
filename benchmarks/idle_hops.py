"""How long does one hop take on a server when nothing else is going on, and how much of that is the servers' own?

One workflow in flight. A hop is a fifth of the time from the call of `emit` until the fifth service's event has been
received by a sixth: six commits and six ways through the broker, counted as five. By hand, five times in a row, a
message goes through the broker and one row is committed; `raw` is a fifth of that.
"""

from benchmarks.question import Program, Question, Ratio, Row

US = "us"
RAW = ("raw_p50", "raw_p99", "trip_p50", "commit_p50")


def _on(broker: str, asks: str, way: str, servers: tuple[str, ...]) -> Question:
    return Question(
        name=f"idle_hop_{broker}",
        asks=asks,
        rows=(
            Row("hop_p50", US, "a hop, median"),
            Row("hop_p99", US, "a hop, 99th percentile"),
            Row("raw_p50", US, f"by hand, {way} and a commit, median"),
            Row("raw_p99", US, f"by hand, {way} and a commit, 99th percentile"),
            Row("trip_p50", US, f"of that, {way}, median"),
            Row("commit_p50", US, "of that, a commit, median"),
        ),
        programs=(
            Program("minuet_idle_on_servers", f"minuet_idle_{broker}", ("hop_p50", "hop_p99"), workflows=300),
            Program("raw_idle", f"raw_idle_{broker}", RAW, workflows=300, by_peers=True),
        ),
        ratios=(
            Ratio("hop_vs_raw", "hop_p50", "raw_p50", at_most=1.3),
            Ratio("hop_p99_vs_raw_p99", "hop_p99", "raw_p99"),
        ),
        servers=servers,
    )


POSTGRES = _on(
    "postgres",
    "one hop with one workflow in flight in one PostgreSQL database",
    "a log row committed, notified and read by another connection",
    ("postgres",),
)
KAFKA = _on(
    "kafka",
    "one hop with one workflow in flight on Kafka with PostgreSQL",
    "a message through Kafka",
    ("postgres", "kafka"),
)
RABBITMQ = _on(
    "rabbitmq",
    "one hop with one workflow in flight on RabbitMQ with PostgreSQL",
    "a message through a quorum queue",
    ("postgres", "rabbitmq"),
)
