"""Structured mode: what is written is read back, and both ways of reading agree."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.contracts import structured
from minuet.contracts.envelope import Envelope, from_structured, to_structured
from minuet.errors import EnvelopeRejected
from tests.unit.contracts.envelopes import anything, json_values, texts, with_json

SMALLEST = Envelope(id="1", source="/orders", type="OrderPlaced.v1")


@given(anything)
def test_an_envelope_is_read_back_as_it_was_written(envelope) -> None:
    """Structured mode keeps every attribute, the types of extensions, and the data to the byte."""
    assert from_structured(to_structured(envelope)) == envelope
    assert from_structured(to_structured(envelope).decode()) == envelope


@given(with_json)
def test_the_body_is_a_json_object_of_the_attributes(envelope) -> None:
    """Any JSON reader finds specversion 1.0, the attributes by name, and the data as JSON rather than as text."""
    body = json.loads(to_structured(envelope))
    assert body["specversion"] == "1.0"
    assert (body["id"], body["source"], body["type"]) == (envelope.id, envelope.source, envelope.type)
    assert body["data"] == json.loads(envelope.data)
    assert None not in [value for name, value in body.items() if name != "data"]


@given(anything)
def test_both_ways_of_writing_say_the_same(envelope) -> None:
    """The quick way writes what the exact way writes."""
    assert json.loads(to_structured(envelope)) == json.loads(structured._write_exactly(envelope))


ATTRIBUTE_NAMES = [
    *("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "correlationid"),
    *("partitionkey", "data", "data_base64", "extension", "Wrong", "with-dash"),
]
ATTRIBUTE_VALUES = st.one_of(
    st.sampled_from(["1.0", "", "/orders", "application/json", "text/plain", "https://example.org/s", "aGk=", "a b"]),
    st.sampled_from(
        ["2011-12-09T12:50:00Z", "2011-12-09 12:50:00Z", "2011-12-09T12:50:00+0000", "2011-12-09T24:00:00Z"]
    ),
    st.sampled_from([None, True, 7, 2**31, 1.5, [1], {"a": 1}, "\x7f", "\x00", "\ufffe", "é", "\\"]),
    texts,
)


def outcome(read, body) -> Envelope | str:
    """The envelope that was read, or the reason why none was."""
    try:
        return read(body)
    except EnvelopeRejected as rejected:
        return rejected.reason


@given(
    st.fixed_dictionaries(
        {"specversion": st.just("1.0"), "id": st.just("1"), "source": st.just("/orders"), "type": st.just("A.v1")},
        optional=dict.fromkeys(ATTRIBUTE_NAMES[4:], ATTRIBUTE_VALUES),
    )
    | st.dictionaries(st.sampled_from(ATTRIBUTE_NAMES), ATTRIBUTE_VALUES),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_both_ways_of_reading_agree(members, spaced, random) -> None:
    """The quick way of reading accepts and refuses exactly what the exact way does, in any order of members."""
    names = list(members)
    random.shuffle(names)
    shuffled = {name: members[name] for name in names}
    for ascii_only in (True, False):
        text = json.dumps(shuffled, ensure_ascii=ascii_only, separators=None if spaced else (",", ":"))
        assert outcome(from_structured, text.encode()) == outcome(structured._read_exactly, text.encode())


@pytest.mark.parametrize(
    ("time", "valid"),
    [
        ("2011-12-09T12:50:00.123456Z", True),
        ("2011-12-09t12:50:00.123456z", True),
        ("2011-12-09T12:50:00.1234567Z", True),
        ("2011-12-09T12:50:00Z", True),
        ("2011-12-09T12:50:00-00:00", True),
        ("2011-12-09T12:50:00.12+00:00", True),
        ("2011-12-09T12:50:00.12345+14:00", True),
        ("2011-12-09 12:50:00.123456Z", False),
        ("2011-12-09T12:50:00.123456+0000", False),
        ("2011-12-09T12:50:00.12+0000", False),
        ("2011-12-09T12:50:00,123456Z", False),
        ("20111209T125000.123456Z", False),
        ("2011-W49-5T12:50:00.123456Z", False),
        ("2011-12-09T12:50Z", False),
        ("2011-12-09T12:50:00", False),
        ("2011-12-09T12:50:00+01", False),
        ("2011-12-09T24:00:00.000000Z", False),
        ("2011-02-30T12:50:00.123456Z", False),
        ("2011-12-09", False),
        ("", False),
    ],
)
def test_a_time_is_an_rfc_3339_timestamp(time, valid) -> None:
    """A time has date, seconds and offset as RFC 3339 writes them, wherever it stands among the members."""
    rest = {"id": "1", "source": "/orders", "type": "A.v1"}
    for members in ({"specversion": "1.0", "time": time, **rest}, {**rest, "time": time, "specversion": "1.0"}):
        body = json.dumps(members, separators=(",", ":"))
        assert (outcome(from_structured, body) != "envelope") is valid
        assert outcome(from_structured, body) == outcome(structured._read_exactly, body)


@given(st.binary())
def test_any_bytes_are_read_or_rejected(body) -> None:
    """Arbitrary bytes raise nothing but EnvelopeRejected."""
    assert outcome(from_structured, body) in ("undecodable", "envelope")


@given(with_json, st.data())
def test_a_damaged_envelope_is_read_or_rejected(envelope, data) -> None:
    """Cutting, doubling and overwriting bytes of an envelope raises nothing but EnvelopeRejected, both ways alike."""
    body = bytearray(to_structured(envelope))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(body) - 1, 0)))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    assert outcome(from_structured, bytes(body)) == outcome(structured._read_exactly, bytes(body))


def test_a_body_nested_without_end_is_undecodable() -> None:
    """A hundred thousand brackets, in the data or in an attribute, exhaust nothing."""
    deep = "[" * 100_000 + "]" * 100_000
    for member in ("data", "extension"):
        body = f'{{"specversion":"1.0","id":"1","source":"/","type":"A","{member}":{deep}}}'
        assert outcome(from_structured, body) == "undecodable"


def test_half_of_a_surrogate_pair_is_undecodable() -> None:
    """Text that UTF-8 cannot carry is no JSON, neither raw nor escaped."""
    for broken in ("\ud800", "\\ud800"):
        body = f'{{"specversion":"1.0","id":"{broken}","source":"/","type":"A"}}'
        assert outcome(from_structured, body) == "undecodable"


def test_data_that_is_not_utf_8_is_undecodable() -> None:
    """JSON text is UTF-8 (RFC 8259), inside the data too."""
    body = b'{"specversion":"1.0","id":"1","source":"/","type":"A","data":"\xff"}'
    assert outcome(from_structured, body) == "undecodable"


@given(json_values)
def test_data_is_any_json_value(value) -> None:
    """Null, a string, a list: data that is JSON is kept as it is, and null is data too."""
    data = msgspec.json.encode(value)
    envelope = msgspec.structs.replace(SMALLEST, data=data)
    assert from_structured(to_structured(envelope)).data == data


def test_no_data_is_not_null() -> None:
    """An envelope without data has no data member, and one with null has it."""
    assert "data" not in json.loads(to_structured(SMALLEST))
    assert json.loads(to_structured(msgspec.structs.replace(SMALLEST, data=b"null")))["data"] is None
    assert from_structured(to_structured(SMALLEST)).data == b""


@given(st.binary(min_size=1))
def test_data_that_is_no_json_travels_as_base64(data) -> None:
    """Bytes that are not the JSON that they are declared as arrive byte for byte, in a body that is valid JSON."""
    envelope = msgspec.structs.replace(SMALLEST, datacontenttype="application/json", data=b"\xff" + data)
    body = to_structured(envelope)
    assert "data_base64" in json.loads(body)
    assert from_structured(body) == envelope


def test_text_in_another_format_is_read_from_a_string() -> None:
    """Data of a media type that is not JSON may be a string, and its bytes are the string's in UTF-8."""
    body = '{"specversion":"1.0","id":"1","source":"/","type":"A","datacontenttype":"text/xml","data":"<é/>"}'
    assert from_structured(body).data == "<é/>".encode()


def test_null_is_the_same_as_absent() -> None:
    """Every optional attribute, every extension and data_base64 may be null."""
    optional = (
        "time",
        "subject",
        "datacontenttype",
        "dataschema",
        "correlationid",
        "partitionkey",
        "other",
        "data_base64",
    )
    body = {"specversion": "1.0", "id": "1", "source": "/orders", "type": "OrderPlaced.v1", **dict.fromkeys(optional)}
    assert from_structured(json.dumps(body)) == SMALLEST
