"""The one interface between the training loop and the machine: the loop has no device or rank `if`.

Implementations: `local` (one CPU or one GPU). Several processes and TPUs get modules of their own beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn

from plantset.runtime.precision import Precision


class Strategy(Protocol):
    """Where tensors live and how a step is taken there."""

    device: torch.device
    precision: Precision
    rank: int
    world_size: int

    def prepare(self, model: nn.Module) -> nn.Module:
        """Move the model to where it trains; build the optimizer after this."""

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the forward pass computes."""

    def backward(self, loss: Tensor) -> None:
        """Accumulate gradients of the loss."""

    def step(self, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], max_norm: float) -> None:
        """Unscale, clip the global norm (0: no clipping), update the parameters and clear the gradients."""

    def fetch(self, metrics: Mapping[str, Tensor]) -> dict[str, float]:
        """Bring device scalars to the host: the one place where the loop waits for the device."""

    def state(self) -> dict[str, Tensor]:
        """Return what a resumed run needs of this strategy (random state, loss scale)."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""
