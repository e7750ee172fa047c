"""Money as people write it."""

import pytest

from minuet.demo.report import pounds


@pytest.mark.parametrize(
    ("pence", "text"), [(0, "£0.00"), (5, "£0.05"), (123_456_789, "£1,234,567.89"), (-205, "-£2.05")]
)
def test_pence_read_as_pounds(pence, text) -> None:
    """To the penny, with thousands apart and the sign in front."""
    assert pounds(pence) == text
