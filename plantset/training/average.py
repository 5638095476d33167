"""The exponential moving average of the weights: what is judged and kept, while the raw weights go on learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Shadow weights that follow the trainable ones (Polyak and Juditsky 1992; as timm's and torch's EMA).

    Only what learns has a shadow: a frozen text tower of half a gigabyte is not copied. BatchNorm's running statistics
    are an average already and stay as they are.

    Args:
        decay: share of the old shadow that a step keeps; in the first steps less, min(decay, (1 + n) / (10 + n)).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._raw = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._shadow = {name: weight.detach().clone() for name, weight in self._raw.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the shadows towards the weights after step number `step`, counted from 0."""
        share = 1.0 - min(self.decay, (1 + step) / (10 + step))
        raw: list[Tensor] = [weight.detach() for weight in self._raw.values()]
        torch._foreach_lerp_(list(self._shadow.values()), raw, share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the shadows in the model's place, and the raw weights back."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> dict[str, Tensor]:
        """Return the shadows by the names of their weights."""
        return dict(self._shadow)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""
        for name, shadow in self._shadow.items():
            shadow.copy_(state[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self._raw.items():
            kept = weight.detach().clone()
            weight.copy_(self._shadow[name])
            self._shadow[name].copy_(kept)
