"""Manifest -> batches: geometry on uint8, notes, caption targets, deterministic order."""
