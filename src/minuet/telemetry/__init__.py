"""Observers: what people and machines are told of the turns."""
