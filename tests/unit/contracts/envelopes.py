"""Envelopes for these tests: any that is valid, and parts to break one with."""

import re
from datetime import timedelta, timezone

import msgspec
from hypothesis import strategies as st

from minuet.contracts.cloudevent import ATTRIBUTES
from minuet.contracts.envelope import Envelope

# Letters and marks of all scripts, blanks, quotes, backslashes; no control characters, surrogates or noncharacters.
text = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=30)
quoted = st.sampled_from(['say "data":', "a\\b", 'x","data":1', "%41", "blank blank", "Ж", "\U0001d11e"])
texts = text | quoted
sources = st.sampled_from(["/orders", "urn:shop:1", "https://example.org/a?b=c#d", "1-555-123-4567", "a%20b"])
offsets = st.sampled_from([0, 60, -330, 840]).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(timezones=offsets)
names = st.from_regex(re.compile(r"[a-z0-9]{1,12}", re.ASCII), fullmatch=True).filter(
    lambda name: name not in (*ATTRIBUTES, "data", "specversion")
)
values = st.booleans() | st.integers(-(2**31), 2**31 - 1) | texts
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
json_data = json_values.map(msgspec.json.encode)


def envelopes(
    media_types: st.SearchStrategy[str | None], data: st.SearchStrategy[bytes]
) -> st.SearchStrategy[Envelope]:
    """Valid envelopes whose data is of one of these media types."""
    optional = st.none() | texts
    return st.builds(
        Envelope,
        id=texts,
        source=sources,
        type=texts,
        time=st.none() | times,
        subject=optional,
        datacontenttype=media_types,
        dataschema=st.none() | st.just("https://example.org/schema/2"),
        correlationid=optional,
        causationid=optional,
        traceparent=optional,
        tracestate=optional,
        partitionkey=optional,
        extensions=st.dictionaries(names, values, max_size=3),
        data=data,
    )


with_json = envelopes(
    st.sampled_from([None, "application/json", "application/vnd.shop+json; charset=utf-8"]), json_data
)
with_bytes = envelopes(st.sampled_from(["image/png", "text/plain; charset=latin-1"]), st.binary())
anything = with_json | with_bytes
