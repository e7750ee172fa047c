"""Real servers for tests and benchmarks, on loopback, in one directory that can be thrown away."""
