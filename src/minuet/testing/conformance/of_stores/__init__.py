"""The clauses of the store port as tests, a subject a file."""
