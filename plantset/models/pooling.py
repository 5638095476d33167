"""From the tokens of a note to one vector.

Dimensions: B batch, T note tokens, D width.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from plantset.encoders.text import pool_last, pool_mean
from plantset.models.config import TextPooling


class NotePooling(nn.Module):
    """Average, last real token, or a learned average.

    Args:
        kind: "mean"; "last", which in a causal text model has read all others; or "attention": a softmax over one
            learned score of each token (Lin et al., arXiv 1703.03130, with one row of scores).
    """

    def __init__(self, width: int, kind: TextPooling) -> None:
        super().__init__()
        self.kind = kind
        self.score = nn.Linear(width, 1) if kind == "attention" else None

    def forward(self, tokens_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Return (B, D).

        Args:
            mask_BT: bool, True where a token is real; every row needs at least one.
        """
        if self.score is None:
            return (pool_last if self.kind == "last" else pool_mean)(tokens_BTD, mask_BT)
        scores_BT1 = self.score(tokens_BTD).masked_fill(~mask_BT[..., None], -torch.inf)
        return cast(Tensor, (scores_BT1.softmax(dim=1) * tokens_BTD).sum(dim=1))
