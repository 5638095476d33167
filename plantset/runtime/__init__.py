"""The only layer that knows devices, precision and checkpoints on disk."""
