"""What a Kafka URL says is what librdkafka is told, and no secret of it is shown."""

import re

import pytest
from confluent_kafka import Consumer, Producer
from hypothesis import given
from hypothesis import strategies as st

from minuet.brokers.kafka import KafkaBroker
from minuet.brokers.kafka.names import LONGEST, kafka_name
from minuet.brokers.kafka.place import KafkaPlace
from minuet.errors import StartupError

SECRET = "s3cr%40t%2F:word"


def security(options: str = "", user: str = "") -> dict[str, str]:
    return dict(KafkaPlace.from_url(f"kafka://{user}one:9093,two/{options}").security)


def test_servers_are_named_with_their_ports() -> None:
    """A host without a port has Kafka's."""
    assert KafkaPlace.from_url("kafka://one:19092,two,[::1]:7").servers == "one:19092,two:9092,[::1]:7"


def test_tls_and_sasl_are_librdkafkas_properties() -> None:
    """Each way in, as the library names it."""
    login = {"sasl.username": "me", "sasl.password": "s3cr@t/:word"}
    assert security() == {}
    assert security("?tls=on") == {"security.protocol": "SSL"}
    assert security("?ca=/ca.pem") == {"security.protocol": "SSL", "ssl.ca.location": "/ca.pem"}
    assert security(user=f"me:{SECRET}@") == {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "PLAIN", **login,
    }  # fmt: skip
    assert security("?tls=on&mechanism=SCRAM-SHA-256&verify=off", f"me:{SECRET}@") == {
        "security.protocol": "SASL_SSL", "sasl.mechanisms": "SCRAM-SHA-256", **login,
        "enable.ssl.certificate.verification": "false",
    }  # fmt: skip
    assert security("?certificate=/c.pem&key=/k.pem&key_password=x") == {
        "security.protocol": "SSL", "ssl.certificate.location": "/c.pem", "ssl.key.location": "/k.pem",
        "ssl.key.password": "x",
    }  # fmt: skip


def test_the_library_takes_what_it_is_told() -> None:
    """Properties of the library's own pass, and it knows every one that is set."""
    place = KafkaPlace.from_url(
        f"kafka://me:{SECRET}@127.0.0.1:1/?mechanism=SCRAM-SHA-512&client.socket.timeout.ms=900"
    )
    assert place.client()["socket.timeout.ms"] == "900"
    Producer({**place.client(), "log_level": 0})
    Consumer({**place.client(), "group.id": "none", "log_level": 0}).close()


def test_options_say_what_topics_are_made_like() -> None:
    """Numbers and lengths of time are read, the rest is left to the cluster."""
    place = KafkaPlace.from_url("kafka://one/?prefix=shop.&partitions=12&replication=3&retention=30d&handover=0s")
    assert (place.prefix, place.partitions, place.replication) == ("shop.", 12, 3)
    assert (place.retention_seconds, place.handover_seconds) == (30 * 86400.0, 0.0)
    assert KafkaPlace.from_url("kafka://one/?retention=forever").retention_seconds == float("inf")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("kafka://", "no server"),
        ("kafka://one/topic", "has a path"),
        ("kafka://one/?partition=3", "There are ca, certificate,"),
        ("kafka://one/?partitions=0", "?partitions=6"),
        ("kafka://one/?prefix=a b", "?prefix=shop."),
        ("kafka://one/?session=soon", "?session=6s"),
        ("kafka://one/?protocol=share", "classic, consumer"),
        ("kafka://one/?tls=yes", "?tls=on"),
        ("kafka://one/?tls=off&ca=/ca.pem", "certificates too"),
        ("kafka://one/?mechanism=PLAIN", "nobody does"),
        ("kafka://me@one", "needs a password"),
        ("kafka://me:x@one/?mechanism=GSSAPI", "client.sasl.mechanisms"),
        ("kafka://one/?client.acks=0", "promises stand on it"),
    ],
)
def test_what_is_not_understood_is_refused(url: str, says: str) -> None:
    """A URL with a slip in it stops the start, and says how it is written."""
    with pytest.raises(StartupError) as refusal:
        KafkaPlace.from_url(url)
    assert says in str(refusal.value)


def test_no_secret_is_shown() -> None:
    """Neither the repr of the adapter nor that of its place nor a refusal has a password."""
    url = "kafka://me:hush@one/?key=/k.pem&key_password=hush&client.ssl.keystore.password=hush"
    broker = KafkaBroker.from_url(url)
    assert "hush" not in f"{broker!r} {broker.place!r}"
    with pytest.raises(StartupError) as refusal:
        KafkaBroker.from_url(f"{url}&tls=perhaps")
    assert "hush" not in str(refusal.value)


def topic_of(name: str, prefix: str) -> str:
    """The one topic that can have this name."""

    def unescaped(found: re.Match[str]) -> str:
        return bytes.fromhex(found[0].replace("_x", "")).decode("utf-8", "surrogatepass")

    return re.sub("(?:_x[0-9A-F]{2})+", unescaped, name.removeprefix(prefix))


@given(topic=st.text(min_size=1, max_size=20), prefix=st.sampled_from(["", "shop."]))
def test_any_topic_has_a_legal_name_that_leads_back_to_it(topic: str, prefix: str) -> None:
    """Two topics never share a name."""
    name = kafka_name(topic, prefix)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert name not in {".", ".."}
    assert topic_of(name, prefix) == topic


def test_the_names_of_contracts_stay_as_they_are() -> None:
    """Letters, digits, dots, dashes and underscores need no escape; what is too long is refused."""
    for topic in ("OrderPlaced", "shop.order_placed", "order-placed", "v1.2"):
        assert kafka_name(topic) == topic
    for topic in ("", "x" * (LONGEST + 1)):
        with pytest.raises(StartupError):
            kafka_name(topic)
