"""The machine's own ids: never one twice, in whichever thread or process."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from minuet.runtime.system import DRAWN_TOGETHER, SystemIds

IN_A_CHILD = """
import os
from minuet.runtime.system import SystemIds
ids = SystemIds()
ids.new()
reading, writing = os.pipe()
if child := os.fork():
    os.waitpid(child, 0)
    theirs = os.read(reading, 4096).decode()
else:
    os.write(writing, ids.new().encode())
    os._exit(0)
print(ids.new()[-20:], theirs[-20:])
"""


def test_ids_are_never_made_twice_by_threads_that_draw_together() -> None:
    """Entropy is drawn for many ids at once; each part of it is used once, also where two threads find none left."""
    ids, each = SystemIds(), 20 * DRAWN_TOGETHER
    with ThreadPoolExecutor(8) as threads:
        made = [made for part in threads.map(lambda _: [ids.new() for _ in range(each)], range(8)) for made in part]
    assert len({id_[15:] for id_ in made}) == 8 * each


def test_a_forked_process_does_not_make_its_parents_ids() -> None:
    """What the parent has drawn is not the child's."""
    told = subprocess.run([sys.executable, "-c", IN_A_CHILD], capture_output=True, text=True, check=True)
    ours, theirs = told.stdout.split()
    assert ours != theirs
