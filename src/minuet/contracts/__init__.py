"""Event contracts: what an event is, how it travels, and how its versions are read."""
