"""Bidirectional token cross-attention: image tokens ask the note, note tokens ask the image.

Over token sequences, never over pooled vectors: attention over one pooled vector is a softmax over one element, a
no-op. A learned "no note" token always stands first in the note, so that a photo without a note, and one whose note
is all padding, are the same computation.

Dimensions: B batch, N image tokens, T note tokens, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from plantset.models.attention import Attention, FeedForward


class Fused(NamedTuple):
    """Both sequences after fusion; `note_mask_BT` counts the "no note" token, which is always real."""

    image_BND: Tensor
    note_BTD: Tensor
    note_mask_BT: Tensor


class FusionLayer(nn.Module):
    """Pre-norm cross-attention in both directions, separate norms for query and key, then a feed-forward each."""

    def __init__(self, width: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.image_query_norm = nn.LayerNorm(width)
        self.image_key_norm = nn.LayerNorm(width)
        self.note_query_norm = nn.LayerNorm(width)
        self.note_key_norm = nn.LayerNorm(width)
        self.image_asks_note = Attention(width, num_heads, dropout=dropout)
        self.note_asks_image = Attention(width, num_heads, dropout=dropout)
        self.image_ffn = nn.Sequential(nn.LayerNorm(width), FeedForward(width, dropout=dropout))
        self.note_ffn = nn.Sequential(nn.LayerNorm(width), FeedForward(width, dropout=dropout))
        self.dropout = nn.Dropout(dropout)

    def forward(self, image_BND: Tensor, note_BTD: Tensor, note_mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return both sequences, each updated from the other as it came in."""
        from_note = self.image_asks_note(
            self.image_query_norm(image_BND), self.note_key_norm(note_BTD), key_mask_BK=note_mask_BT
        )
        from_image = self.note_asks_image(self.note_query_norm(note_BTD), self.image_key_norm(image_BND))
        image_BND = image_BND + self.dropout(from_note)
        note_BTD = note_BTD + self.dropout(from_image)
        image_BND = image_BND + self.dropout(self.image_ffn(image_BND))
        note_BTD = note_BTD + self.dropout(self.note_ffn(note_BTD))
        return image_BND, note_BTD


class CrossAttentionFusion(nn.Module):
    """`num_layers` fusion layers over [image tokens] and ["no note" token, note tokens].

    Args:
        width: D. num_heads: heads of each attention, whose width is D // heads.
        num_layers: 0 leaves both sequences as they are.
    """

    def __init__(self, width: int, num_heads: int, num_layers: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.no_note = nn.Parameter(torch.randn(width) * 0.02)
        self.layers = nn.ModuleList(FusionLayer(width, num_heads, dropout=dropout) for _ in range(num_layers))

    def forward(self, image_BND: Tensor, note_BTD: Tensor | None, note_mask_BT: Tensor | None) -> Fused:
        """Fuse.

        Args:
            note_BTD: None where no photo of the batch has a note.
            note_mask_BT: bool, True where a note token is real; a row may be all False.
        """
        batch = image_BND.shape[0]
        note = self.no_note.expand(batch, 1, -1)
        mask = torch.ones(batch, 1, dtype=torch.bool, device=image_BND.device)
        if note_BTD is not None and note_mask_BT is not None:
            note = torch.cat([note.to(note_BTD.dtype), note_BTD], dim=1)
            mask = torch.cat([mask, note_mask_BT], dim=1)
        for layer in self.layers:
            image_BND, note = layer(image_BND, note, mask)
        return Fused(image_BND, note, mask)
