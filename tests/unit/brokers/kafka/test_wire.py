"""What a record's headers say is what was published, and what other clients publish is read as CloudEvents have it."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from minuet.brokers.kafka.wire import headers_of, read_headers
from minuet.contracts.envelope import read
from minuet.ports.broker import Message

TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
HEADERS = st.none() | st.dictionaries(
    TEXT.filter(lambda name: not name.startswith(("ce_", "minuet_"))), TEXT, min_size=1
)


def arrived(message: Message) -> tuple[str | None, str | None, Mapping[str, str] | None]:
    """Through the library, which gives bytes back."""
    carried = headers_of(message)
    event_id, source, headers = read_headers(
        None if carried is None else [(k, v.encode() if isinstance(v, str) else v) for k, v in carried]
    )
    assert headers is None or isinstance(headers, Mapping)
    return event_id, source, headers


@given(event_id=st.none() | TEXT, source=st.none() | TEXT, headers=HEADERS)
def test_id_source_and_headers_arrive(event_id: str | None, source: str | None, headers: dict[str, str] | None) -> None:
    """Whatever there is of them, and nothing else."""
    message = Message("t", None, event_id, source, headers, b"")
    assert arrived(message) == (event_id, source, headers)


def test_an_event_of_ours_says_so_to_other_clients() -> None:
    """A structured CloudEvent has its content type, and its id and source as Kafka's binding names them."""
    message = Message("t", None, "1", "/orders", None, b"{}")
    assert headers_of(message) == [
        ("content-type", b"application/cloudevents+json"), ("ce_id", "1"), ("ce_source", "/orders"),
    ]  # fmt: skip


def test_a_binary_event_of_another_client_is_understood() -> None:
    """Kafka's binary mode: attributes in headers with `ce_`, which keep their place."""
    event_id, source, headers = read_headers(
        [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/them"), ("ce_type", b"Came.v1"),
         ("content-type", b"application/json")]
    )  # fmt: skip
    assert (event_id, source) == ("1", "/them")
    assert isinstance(headers, Mapping)
    assert read(headers, b'{"number":1}').type == "Came.v1"


def test_a_header_that_is_no_text_is_shown_as_such() -> None:
    """Bytes that are no UTF-8 do not stop the reader."""
    assert read_headers([("x", b"\xff"), ("y", None)]) == (None, None, {"x": "\\xff", "y": ""})
