"""What ships for testing: what a service's own tests use, the conformance suites, and the saboteurs they must catch."""

from minuet.ports.observer import Outcome, Point
from minuet.testing.alone import context, transaction
from minuet.testing.crash import Crash
from minuet.testing.signals import Signals

__all__ = ["Crash", "Outcome", "Point", "Signals", "context", "transaction"]
