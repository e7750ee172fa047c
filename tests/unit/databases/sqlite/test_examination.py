"""What a SQLite file says when it is looked at."""

import pytest

from minuet.databases.sqlite.examination import repaired


@pytest.mark.parametrize("version", [(3, 51, 3), (3, 52, 0), (3, 60, 1), (4, 0, 0), (3, 50, 7), (3, 44, 6), (3, 44, 9)])
def test_versions_with_the_repair_are_known(version):
    """The main line has it from 3.51.3 on, two older lines had it put in."""
    assert repaired(version)


@pytest.mark.parametrize("version", [(3, 51, 2), (3, 50, 6), (3, 44, 5), (3, 45, 1), (3, 40, 1), (3, 7, 0)])
def test_versions_without_the_repair_are_told(version):
    """A line between two repaired ones is not repaired."""
    assert not repaired(version)
