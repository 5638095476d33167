"""Tensors -> tensors: connector, fusion, heads, captioner, their losses, and how they are built and loaded."""
