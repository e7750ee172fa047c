"""Brokers: interchangeable carriers of events."""
