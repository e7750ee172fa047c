"""Policies: pure functions of an attempt, a clock reading and a chance."""
