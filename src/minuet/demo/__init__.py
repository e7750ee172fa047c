"""The demo: order fulfilment as a fleet of processes on one file, some of them killed, and an audit at the end.

`plan` says what is to run, `order` runs it: `fleet` starts, kills and restarts processes (`member` and `feeder`
are what runs in them), `strikes` decides whom to kill and when, `settling` reads from the file what is still
awaited, `progress` shows it, `verdict` compares the books with the input and `report` prints them. `play` runs
an example in this process alone, and `paths` tells what became of each instance.
"""
