"""Binary mode: what is written as headers is read back, by the rules of each binding."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.contracts.envelope import Envelope, from_binary, from_structured, read, to_binary, to_structured
from minuet.errors import EnvelopeRejected
from tests.unit.contracts.envelopes import anything

PREFIXES = ("ce-", "ce_", "cloudEvents_")


def as_headers_say(envelope) -> Envelope:
    """The envelope as binary mode can say it: extensions are strings, and the media type of data is explicit."""
    extensions = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in envelope.extensions.items()
    }
    media_type = envelope.datacontenttype or ("application/json" if envelope.data else None)
    return msgspec.structs.replace(envelope, extensions=extensions, datacontenttype=media_type)


@given(anything, st.sampled_from(PREFIXES))
def test_an_envelope_is_read_back_as_it_was_written(envelope, prefix) -> None:
    """Binary mode keeps every attribute, extensions as strings, and the data to the byte."""
    headers, body = to_binary(envelope, prefix)
    assert body is envelope.data
    assert from_binary(headers, body, prefix) == as_headers_say(envelope)


@given(anything, st.sampled_from(PREFIXES))
def test_either_mode_is_recognised(envelope, prefix) -> None:
    """`read` tells structured from binary by the content type, and bindings apart by their prefix."""
    headers, body = to_binary(envelope, prefix)
    assert read(headers, body) == as_headers_say(envelope)
    for media_type in ("application/cloudevents+json", "Application/CloudEvents+JSON; charset=UTF-8"):
        assert read({"Content-Type": media_type, "ce-id": "not this"}, to_structured(envelope)) == envelope
    assert read(None, to_structured(envelope)) == envelope


@given(anything)
def test_headers_for_http_are_printable_ascii(envelope) -> None:
    """With the prefix "ce-", values hold no blank, double quote, control character or anything beyond ASCII."""
    headers, _ = to_binary(envelope)
    attributes = {name: value for name, value in headers.items() if name != "content-type"}
    assert all("!" <= character <= "~" and character != '"' for value in attributes.values() for character in value)


def test_the_example_of_the_http_binding() -> None:
    """The specification's own example of percent-encoding comes out letter for letter."""
    envelope = Envelope(id="1", source="/", type="A", subject="Euro € \U0001d11e")
    headers, _ = to_binary(envelope)
    assert headers["ce-subject"] == "Euro%20%E2%82%AC%20%F0%9D%84%9E"


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("Euro%20%e2%82%ac", "Euro €"),
        ("%41%42", "AB"),
        ('"two words"', "two words"),
        (r'"a \"b\" \\ c"', r'a "b" \ c'),
        ("%2541", "%41"),
        ("naïve", "naïve"),
    ],
)
def test_what_other_senders_write_is_understood(value, subject) -> None:
    """Lower-case and needless percents, double quotes with backslashes and raw UTF-8 are read; once, not twice."""
    headers = {"CE-SpecVersion": "1.0", "Ce-Id": "1", "ce-source": "/", "ce-type": "A", "ce-subject": value}
    assert from_binary(headers, b"").subject == subject


def test_values_for_kafka_are_plain_text() -> None:
    """With any prefix but "ce-", a percent sign is a percent sign."""
    envelope = Envelope(id="1", source="/", type="A", subject="50% Ж")
    headers, _ = to_binary(envelope, "ce_")
    assert headers["ce_subject"] == "50% Ж"
    assert from_binary(headers, b"", "ce_").subject == "50% Ж"


def test_other_headers_are_not_the_events() -> None:
    """A header without the prefix belongs to whoever carries the event."""
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "A", "X-Request-Id": "é \x00"}
    assert from_binary(headers, b"").extensions == {}


def test_a_name_in_the_headers_may_repeat_the_content_type() -> None:
    """A sender that writes the media type twice, as the NATS binding asks, is read if both agree."""
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "A"}
    both = {**headers, "ce-datacontenttype": "text/plain", "Content-Type": "text/plain"}
    assert from_binary(both, "text").datacontenttype == "text/plain"
    assert from_binary({**headers, "ce-datacontenttype": "text/plain"}, "text").data == b"text"


@pytest.mark.parametrize("media_type", ["application/cloudevents-batch+json", "application/cloudevents+avro"])
def test_a_format_that_is_not_understood_is_named(media_type) -> None:
    """A batch, or an event in another format than JSON, is refused by the name of its content type."""
    with pytest.raises(EnvelopeRejected, match=media_type.replace("+", r"\+")):
        read({"content-type": media_type}, b"[]")


@given(st.dictionaries(st.text(), st.text()), st.binary(), st.sampled_from(PREFIXES))
def test_any_headers_are_read_or_rejected(headers, body, prefix) -> None:
    """Arbitrary headers raise nothing but EnvelopeRejected."""
    required = {"specversion": "1.0", "id": "1", "source": "/", "type": "A"}
    prefixed = {prefix + name: value for name, value in (required | headers).items()}
    for given_headers in (headers, prefixed):
        try:
            envelope = from_binary(given_headers, body, prefix)
        except EnvelopeRejected:
            continue
        assert from_structured(to_structured(envelope)) == envelope
