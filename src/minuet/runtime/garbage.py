"""How often a process that does nothing but react looks for garbage."""

import gc

YOUNG, MIDDLE, OLD = 10_000, 20, 10
"""After how many objects more than were dropped, and after how many looks at younger ones."""


def collect_seldom() -> None:
    """From now on, look through what is there by now no more, and through what comes less often. For the process.

    A turn makes some hundred objects and drops nearly all of them at once, without a cycle. Python by default looks
    for cycles whenever 700 more are there than were, as batches make it, and each time a little through everything
    that was ever imported: a seventh of what an event costs on SQLite.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
