"""Databases: a package each, shared by the broker and the store that live in it; beside them what all of them use."""
