"""Registers a few customers, for the services that run elsewhere."""

import asyncio

from .app import app, play

asyncio.run(play(app))
