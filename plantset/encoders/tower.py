"""What both towers share: freezing that holds, also for BatchNorm and dropout."""

from __future__ import annotations

from typing import Self

from torch import nn


class Tower(nn.Module):
    """A pretrained network that can be frozen whole.

    A frozen tower asks for no gradient and stays in evaluation mode when its parent is put in training mode: BatchNorm
    would otherwise drift with every batch although no weight learns, and dropout would make cached tokens wrong.

    Attributes:
        name: what the user asked for, as `build_vision_encoder` or `build_text_encoder` takes it.
        width: channels of each token.
        fingerprint: identity of the packaged weights that were loaded, None for all others.
        frozen: whether `freeze` was called.
    """

    def __init__(self, *, name: str, width: int, fingerprint: str | None) -> None:
        super().__init__()
        self.name = name
        self.width = width
        self.fingerprint = fingerprint
        self.frozen = False

    def freeze(self) -> Self:
        """Stop all learning here; returns itself."""
        self.frozen = True
        self.requires_grad_(False)
        return self.eval()

    def unfreeze(self) -> Self:
        """Let every parameter learn again, in training mode; returns itself."""
        self.frozen = False
        self.requires_grad_(True)
        return self.train()

    def train(self, mode: bool = True) -> Self:
        """Follow the parent's mode, except that a frozen tower stays in evaluation mode."""
        return super().train(mode and not self.frozen)
