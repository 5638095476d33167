"""Where image tokens and note tokens meet: cross-attention both ways, one encoder over both (FLAVA), or not at all.

Over token sequences, never over pooled vectors: attention over one pooled vector is a softmax over one element, a
no-op. A learned "no note" token always stands first in the note, so that a photo without a note, and one whose note
is all padding, are the same computation.

Dimensions: B batch, N image tokens, T note tokens, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from plantset.models.attention import Attention, FeedForward, SelfAttentionLayer
from plantset.models.config import ModelConfig


class Fused(NamedTuple):
    """Both sequences after fusion.

    Attributes:
        note_mask_BT: counts the "no note" token, which is always real.
        summary_BD: one vector that has read both; None where the fusion has no such token.
    """

    image_BND: Tensor
    note_BTD: Tensor
    note_mask_BT: Tensor
    summary_BD: Tensor | None = None


class FusionLayer(nn.Module):
    """Pre-norm cross-attention in both directions, separate norms for query and key, then a feed-forward each."""

    def __init__(self, width: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.image_query_norm = nn.LayerNorm(width)
        self.image_key_norm = nn.LayerNorm(width)
        self.note_query_norm = nn.LayerNorm(width)
        self.note_key_norm = nn.LayerNorm(width)
        self.image_asks_note = Attention(width, num_heads)
        self.note_asks_image = Attention(width, num_heads)
        self.image_ffn = nn.Sequential(nn.LayerNorm(width), FeedForward(width))
        self.note_ffn = nn.Sequential(nn.LayerNorm(width), FeedForward(width))
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
        note, mask = _with_no_note(self.no_note, image_BND, note_BTD, note_mask_BT)
        for layer in self.layers:
            image_BND, note = layer(image_BND, note, mask)
        return Fused(image_BND, note, mask)


class EncoderFusion(nn.Module):
    """A transformer encoder over [CLS; image; note] (FLAVA's multimodal encoder, arXiv 2112.04482, section 3.1).

    Pre-norm layers and a last norm, as released. Each modality is told apart by a learned vector, which FLAVA leaves to
    its two projections; the "no note" token is ours. Florence-2's encoder over [image; prompt] (arXiv 2311.06242,
    section 3.1) is the same computation, with the note in the prompt's place.

    Args:
        width: D. num_heads: heads of each attention, whose width is D // heads.
        num_layers: 0 leaves the sequences as they are, but for the last norm.
    """

    def __init__(self, width: int, num_heads: int, num_layers: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.no_note = nn.Parameter(torch.randn(width) * 0.02)
        self.summary = nn.Parameter(torch.randn(width) * 0.02)
        self.image_kind = nn.Parameter(torch.randn(width) * 0.02)
        self.note_kind = nn.Parameter(torch.randn(width) * 0.02)
        self.layers = nn.ModuleList(
            SelfAttentionLayer(width, num_heads, causal=False, dropout=dropout) for _ in range(num_layers)
        )
        self.output_norm = nn.LayerNorm(width)

    def forward(self, image_BND: Tensor, note_BTD: Tensor | None, note_mask_BT: Tensor | None) -> Fused:
        """Fuse; see `CrossAttentionFusion`."""
        batch, num_image, _ = image_BND.shape
        note, mask = _with_no_note(self.no_note, image_BND, note_BTD, note_mask_BT)
        summary = self.summary.to(image_BND.dtype).expand(batch, 1, -1)
        tokens = torch.cat([summary, image_BND + self.image_kind, note + self.note_kind], dim=1)
        seen = torch.cat([mask.new_ones(batch, 1 + num_image), mask], dim=1)
        for layer in self.layers:
            tokens = layer(tokens, seen)
        tokens = self.output_norm(tokens)
        return Fused(tokens[:, 1 : 1 + num_image], tokens[:, 1 + num_image :], mask, tokens[:, 0])


Fusion = CrossAttentionFusion | EncoderFusion


def build_fusion(config: ModelConfig) -> Fusion:
    """Build the fusion that the config names; "none" is cross-attention without a layer: both stay as they are."""
    layers = 0 if config.fusion == "none" else config.num_attention_layers
    kind = EncoderFusion if config.fusion == "flava" else CrossAttentionFusion
    return kind(config.fusion_dim, config.num_attention_heads, layers, dropout=config.dropout)


def _with_no_note(
    no_note_D: Tensor, image_BND: Tensor, note_BTD: Tensor | None, note_mask_BT: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the note behind the "no note" token, and which of these tokens are real."""
    batch = image_BND.shape[0]
    first = no_note_D.to(image_BND.dtype).expand(batch, 1, -1)
    mask = torch.ones(batch, 1, dtype=torch.bool, device=image_BND.device)
    if note_BTD is None or note_mask_BT is None:
        return first, mask
    return torch.cat([first, note_BTD], dim=1), torch.cat([mask, note_mask_BT], dim=1)
