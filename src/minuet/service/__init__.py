"""What people write: services, reactions, providers, workflows; each read once, into plain values."""
