"""Plantset: from messy photos of sick leaves to a vision-language model that names, describes and explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plantset.inference.predictor import load_predictor as load_predictor
    from plantset.models.pretrained import from_pretrained as from_pretrained
    from plantset.models.pretrained import save_pretrained as save_pretrained

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for: `import plantset` does not."""
    if name == "load_predictor":
        from plantset.inference.predictor import load_predictor

        return load_predictor
    if name in ("from_pretrained", "save_pretrained"):
        from plantset.models import pretrained

        return getattr(pretrained, name)
    raise AttributeError(f"module 'plantset' has no attribute '{name}'")
