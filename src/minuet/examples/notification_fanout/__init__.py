"""One registration and four services that care about it, one of which is failing."""
