"""What became of each instance."""

from minuet.demo.paths import Event, instances, path, paths

LOG = [
    Event("p1", "Placed", "1", None),
    Event("p2", "Placed", "2", None),
    Event("d2", "Declined", "2", "p2"),
    Event("c1", "Captured", "1", "p1"),
    Event("b1", "Booked", "1", "p1"),
    Event("s1", "Shipped", "1", "c1"),
]


def test_causes_stand_before_effects() -> None:
    """The events of an instance are told in the order of their causes, those of one cause by name."""
    assert instances(LOG) == {"1": ("Placed", "Booked", "Captured", "Shipped"), "2": ("Placed", "Declined")}


def test_equal_paths_are_counted() -> None:
    """The most taken path comes first, with the number of instances that took it."""
    found = {"1": ("Placed", "Shipped"), "2": ("Placed", "Declined"), "3": ("Placed", "Shipped")}
    assert paths(found) == [("Placed > Shipped", 2), ("Placed > Declined", 1)]


def test_repeated_events_are_told_once_with_their_number() -> None:
    """Three renditions read as one step."""
    assert path(["Uploaded", "Ready", "Ready", "Ready", "Published"]) == "Uploaded > 3 x Ready > Published"
