"""Uploads a few videos, for the services that run elsewhere."""

import asyncio

from .app import app, play

asyncio.run(play(app))
