"""The type on the wire names a contract and its version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.contracts.envelope import split_type


@given(st.text(min_size=1), st.integers(1, 999_999_999))
def test_a_name_and_a_version_come_apart_again(name, version) -> None:
    """Whatever the name, the last `.v` with a number is the version."""
    assert split_type(f"{name}.v{version}") == (name, version)


@pytest.mark.parametrize(
    "event_type",
    [
        "OrderPlaced",
        "com.github.pull_request.opened",
        "OrderPlaced.v",
        "A.v0",
        "A.v02",
        "A.v-1",
        "A.vx",
        ".v1",
        "A.v²",
        "",
    ],
)
def test_a_type_without_a_version_is_version_1(event_type) -> None:
    """A type of another producer, which says no version in our manner, is version 1 of itself."""
    assert split_type(event_type) == (event_type, 1)
