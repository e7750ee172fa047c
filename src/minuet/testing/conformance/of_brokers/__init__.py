"""The clauses of the broker port as tests, a subject a file."""
