"""Stores: interchangeable keepers of state, inbox, outbox, parked deliveries and dead letters."""
