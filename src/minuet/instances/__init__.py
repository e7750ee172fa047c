"""One workflow instance as it stands: read through the ports, by whoever looks on. Nothing here decides a step."""
