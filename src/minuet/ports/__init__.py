"""What the runtime asks of the world: a broker, a store, observers, and clock, ids and chance."""
