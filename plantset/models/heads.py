"""What is asked of the fused tokens: the class, and the nearest description.

Dimensions: B batch, F features, C classes, W width of a description's vector, P shared width, M descriptions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_INITIAL_TEMPERATURE = 0.07  # CLIP, arXiv 2103.00020, section 2.5
_MIN_TEMPERATURE = 0.01  # CLIP clamps the scale at 100


class Classifier(nn.Module):
    """LayerNorm, dropout, Linear: logits over the classes."""

    def __init__(self, width: int, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, num_classes)
        nn.init.zeros_(self.linear.bias)
        nn.init.normal_(self.linear.weight, std=0.01)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return logits (B, C)."""
        logits_BC: Tensor = self.linear(self.dropout(self.norm(features_BF)))
        return logits_BC


class DescriptionHead(nn.Module):
    """Score photos against descriptions in one space: the description-embedding and contrastive head.

    The photo's vector is its description embedding: what the nearest text of the bank would be.
    """

    def __init__(self, image_width: int, text_width: int, shared_width: int) -> None:
        super().__init__()
        self.image = nn.Linear(image_width, shared_width)
        self.text = nn.Linear(text_width, shared_width)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(_INITIAL_TEMPERATURE)))

    @property
    def temperature(self) -> Tensor:
        """Return the learned temperature, never under 0.01."""
        return self.log_temperature.exp().clamp(min=_MIN_TEMPERATURE)

    def embed_image(self, features_BF: Tensor) -> Tensor:
        """Return unit vectors (B, P)."""
        return F.normalize(self.image(features_BF), dim=-1)

    def embed_text(self, vectors_MW: Tensor) -> Tensor:
        """Return unit vectors (M, P)."""
        return F.normalize(self.text(vectors_MW), dim=-1)

    def forward(self, features_BF: Tensor, bank_MW: Tensor) -> Tensor:
        """Return similarity logits (B, M) of each photo to each description of the bank."""
        return self.embed_image(features_BF) @ self.embed_text(bank_MW).T / self.temperature


class MatchingHead(nn.Module):
    """Say whether the note is about this photo: one logit for a fused pair (FLAVA, arXiv 2112.04482, section 3.2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, 1)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return logits (B,): positive means the note fits."""
        logits_B1: Tensor = self.linear(self.norm(features_BF))
        return logits_B1.squeeze(-1)
