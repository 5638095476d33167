"""Plantset: from messy photos of sick leaves to a vision-language model that names, describes and explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plantset.inference.predictor import load_predictor as load_predictor

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the predictor when it is asked for: it needs torch, `import plantset` does not."""
    if name == "load_predictor":
        from plantset.inference.predictor import load_predictor

        return load_predictor
    raise AttributeError(f"module 'plantset' has no attribute '{name}'")
