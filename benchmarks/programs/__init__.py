"""The programs that questions start, each in a process of its own: it measures once and prints figures."""
