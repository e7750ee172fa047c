"""What is no CloudEvent is refused, in a sentence that names what is wrong."""

import json
from datetime import datetime

import pytest

from minuet.contracts.envelope import Envelope, from_binary, from_structured, to_binary, to_structured
from minuet.errors import EnvelopeRejected, Rejected

VALID = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "https://github.com/cloudevents/spec/pull/123",
    "type": "com.github.pull_request.opened",
    "time": "2018-04-05T17:31:00Z",
    "subject": "123",
    "datacontenttype": "application/json",
    "data": {"appinfo": 1},
}
ABSENT = object()
INVALID = [
    ("specversion", ABSENT),
    ("specversion", None),
    ("specversion", ""),
    ("specversion", "0.3"),
    ("specversion", "1"),
    ("specversion", 1.0),
    ("id", ABSENT),
    ("id", None),
    ("id", ""),
    ("id", 7),
    ("id", "a\x00b"),
    ("id", "a\nb"),
    ("id", "\x7f"),
    ("id", "\x85"),
    ("id", "\ufdd0"),
    ("id", "\U0010ffff"),
    ("source", ABSENT),
    ("source", None),
    ("source", ""),
    ("source", "a source"),
    ("source", "/bücher"),
    ("source", "%zz"),
    ("source", True),
    ("type", ABSENT),
    ("type", None),
    ("type", ""),
    ("type", ["a"]),
    ("time", ""),
    ("time", "2018-04-05T17:31Z"),
    ("time", "2018-04-05T17:31:00"),
    ("time", "2018-04-05T17:31:00+01"),
    ("time", "2018-04-05"),
    ("time", "yesterday"),
    ("time", "2018-13-05T17:31:00Z"),
    ("time", 1522949460),
    ("subject", ""),
    ("subject", 123),
    ("datacontenttype", ""),
    ("datacontenttype", "json"),
    ("datacontenttype", "application/"),
    ("datacontenttype", "a/b; charset"),
    ("datacontenttype", "application/json, text/plain"),
    ("dataschema", ""),
    ("dataschema", "/relative"),
    ("dataschema", "no spaces:allowed here"),
    ("correlationid", ""),
    ("correlationid", 5),
    ("causationid", ""),
    ("partitionkey", ""),
    ("traceparent", 1),
    ("tracestate", False),
    ("extension", 1.5),
    ("extension", 1e3),
    ("extension", 2**31),
    ("extension", -(2**31) - 1),
    ("extension", 2**70),
    ("extension", ["a"]),
    ("extension", {"a": 1}),
    ("extension", "a\u0007"),
    ("Extension", "a"),
    ("my-extension", "a"),
    ("my_extension", "a"),
    ("größe", "a"),
    ("", "a"),
    ("data_base64", "aGk="),  # beside data
]


@pytest.mark.parametrize(
    ("name", "value"),
    INVALID,
    ids=[f"{name}={'absent' if value is ABSENT else repr(value)[:30]}" for name, value in INVALID],
)
def test_an_invalid_attribute_is_named(name, value) -> None:
    """An event that breaks one rule is refused, and the message names the attribute that breaks it."""
    body = {**VALID, name: value}
    if value is ABSENT:
        del body[name]
    for text in (json.dumps(body), json.dumps(body, ensure_ascii=False)):
        with pytest.raises(EnvelopeRejected) as rejected:
            from_structured(text)
        assert rejected.value.reason == "envelope"
        assert name in str(rejected.value)


def test_the_event_that_those_break_is_valid() -> None:
    """The table of invalid events begins from a valid one."""
    assert from_structured(json.dumps(VALID)).subject == "123"


@pytest.mark.parametrize("body", ["", "{", "nonsense", '{"id": }', '{"id": "1"', b"\xff\xfe", b'{"id":"\xff"}'])
def test_what_is_no_json_is_undecodable(body) -> None:
    """Bytes that are no JSON are told apart from JSON that is no CloudEvent."""
    with pytest.raises(EnvelopeRejected) as rejected:
        from_structured(body)
    assert rejected.value.reason == "undecodable"


@pytest.mark.parametrize("body", ["[]", "1", "null", '"text"', '[{"specversion":"1.0"}]', "{}"])
def test_json_that_is_no_event_is_no_envelope(body) -> None:
    """A batch, a number or an empty object is JSON, and no CloudEvent."""
    with pytest.raises(EnvelopeRejected) as rejected:
        from_structured(body)
    assert rejected.value.reason == "envelope"


@pytest.mark.parametrize("base64", ["not base64", "aGk", "aGk=\n", "a_-_", 7, True, ["aGk="]])
def test_data_base64_is_base64(base64) -> None:
    """The member data_base64 is padded base64 in the standard alphabet, without line ends."""
    body = {name: value for name, value in VALID.items() if name != "data"}
    with pytest.raises(EnvelopeRejected, match="data_base64"):
        from_structured(json.dumps({**body, "data_base64": base64}))


def test_text_in_another_format_must_be_a_string() -> None:
    """Data that is declared as XML cannot be a JSON object."""
    with pytest.raises(EnvelopeRejected, match="text/xml"):
        from_structured(json.dumps({**VALID, "datacontenttype": "text/xml"}))


def test_every_rejection_is_one_kind_of_error() -> None:
    """Whoever handles deliveries catches Rejected, and finds a word and a sentence."""
    with pytest.raises(Rejected) as rejected:
        from_structured("{}")
    assert (rejected.value.reason, str(rejected.value)) == ("envelope", rejected.value.message)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"source": ""},
        {"source": "not a source"},
        {"type": ""},
        {"time": datetime(2018, 4, 5)},  # noqa: DTZ001  # without an offset, which is what is wrong
        {"subject": ""},
        {"correlationid": ""},
        {"causationid": ""},
        {"traceparent": ""},
        {"tracestate": ""},
        {"partitionkey": ""},
        {"partitionkey": "two\nlines"},
        {"partitionkey": "\x7f"},
        {"partitionkey": "\ud800"},
        {"datacontenttype": "json"},
        {"dataschema": "relative"},
        {"extensions": {"Name": 1}},
        {"extensions": {"data": 1}},
        {"extensions": {"id": "1"}},
        {"extensions": {"specversion": "1.0"}},
        {"extensions": {"x": 2**31}},
        {"extensions": {"x": 1.5}},
        {"extensions": {"x": "\x00"}},
    ],
    ids=repr,
)
@pytest.mark.parametrize("data", [b"", b"{}"])
def test_what_would_be_invalid_is_not_sent(wrong, data) -> None:
    """Neither mode writes an envelope that its readers would have to refuse."""
    parts = {"id": "1", "source": "/orders", "type": "A.v1", "datacontenttype": "application/json", "data": data}
    envelope = Envelope(**{**parts, **wrong})
    with pytest.raises(EnvelopeRejected):
        to_structured(envelope)
    with pytest.raises(EnvelopeRejected):
        to_binary(envelope)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("ce-specversion", "0.3"),
        ("ce-id", ""),
        ("ce-source", "a%20source"),
        ("ce-time", "2018-04-05T17:31Z"),
        ("ce-subject", "%C0%A0"),
        ("ce-subject", "50%"),
        ("ce-subject", "%zz"),
        ("ce-subject", "a%00b"),
        ("ce-my_name", "a"),
        ("ce-", "a"),
        ("ce-data", "a"),
        ("content-type", "json"),
        ("ce-datacontenttype", "text/plain"),
    ],
)
def test_an_invalid_header_is_refused(header, value) -> None:
    """Binary mode has the same rules, and its own for percent-encoding and the content type."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/",
        "ce-type": "A",
        "content-type": "application/json",
    }
    assert from_binary(headers, b"{}").id == "1"
    with pytest.raises(EnvelopeRejected):
        from_binary({**headers, header: value}, b"{}")
