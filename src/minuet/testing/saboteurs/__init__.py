"""Adapters that lie in one known way each, and the clause that must catch each of them.

A suite that no liar fails has shown nothing. Each saboteur is a conformance suite against a dishonest adapter; of its
tests, one of the clause that it names must fail.
"""
