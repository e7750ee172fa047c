"""How idle work is measured: a burst of five, then rest. The same for minuet and by hand."""

WARM = 20
"""Workflows, or bursts, before any counts."""
REST_S = 0.005
"""How long everything rests between a burst and the next."""
