"""Databases: one connection each, shared by the broker and the store that live in it."""
