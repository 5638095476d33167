"""Masked modelling: some image tokens or note tokens are hidden, and predicted from the others (FLAVA).

FLAVA (arXiv 2112.04482, section 3.2) masks patches and words before its encoders and predicts codes of a discrete VAE
and word pieces. Here, named as deviations:
- tokens are hidden behind the towers, before fusion, so that features of a frozen tower can be cached. A CNN's
  neighbouring tokens have seen the hidden cell, which makes the task easier than FLAVA's;
- the target is the tower's own token, compared by cosine (EVA, arXiv 2211.07636, section 2.1; for words data2vec,
  arXiv 2202.03555, section 3.2): there is no dVAE, and a head over the 250,037 pieces of the packaged tokenizer would
  be larger than the model;
- FLAVA takes its multimodal loss on all pairs of a batch that has no matching one; here it is then zero;
- training takes these losses of one photo of each four.

Dimensions: B batch, N image tokens, T note tokens, D fusion width, K tokens of either kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from plantset.encoders.text import pool_mean as pool_mean
from plantset.encoders.vision import VisionTokens as VisionTokens
from plantset.models.attention import sincos_positions_2d
from plantset.models.fusion import Fused
from plantset.models.objectives import masked_losses

IMAGE_RATIO = 0.4  # 75 of FLAVA's 196 patches (BEiT, arXiv 2106.08254, section 2.3)
NOTE_RATIO = 0.15  # BERT, arXiv 1810.04805, section 3.1
_MASK_STREAM = 0x3A5C

Fuse = Callable[[Tensor, Tensor | None, Tensor | None], Fused]
Hidden = tuple[Tensor, Tensor, Tensor]


class MaskedModelling(nn.Module):
    """What stands in for hidden tokens, and the heads that predict them.

    A photo's hidden tokens carry their place in the grid, so that they are told apart; a note's carry nothing.

    Args:
        width: D. vision_width, text_width: of the towers' tokens; text_width 0 builds no text head.
        grid: (rows, columns) of image tokens.
    """

    positions_ND: Tensor

    def __init__(self, width: int, vision_width: int, text_width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.image_mask = nn.Parameter(torch.randn(width) * 0.02)
        self.image_head = _head(width, vision_width)
        self.register_buffer("positions_ND", sincos_positions_2d(*grid, width), persistent=False)
        if text_width:
            self.note_mask = nn.Parameter(torch.randn(width) * 0.02)
            self.note_head = _head(width, text_width)

    def image_losses(self, fuse: Fuse, image_BND: Tensor, tokens_BNC: Tensor, hidden_BN: Tensor) -> Tensor:
        """Return each photo's loss (B,): its hidden tokens from its others, without a note.

        Args:
            fuse: the model's fusion.
            image_BND: image tokens before fusion. tokens_BNC: the tower's, the target.
            hidden_BN: bool, True where a token is hidden.
        """
        fused = fuse(self._hide_image(image_BND, hidden_BN), None, None)
        return masked_losses(self.image_head(fused.image_BND), tokens_BNC, hidden_BN)

    def note_losses(self, fuse: Fuse, no_image_BND: Tensor, note: Hidden, mask_BT: Tensor) -> Tensor:
        """Return each note's loss (B,): its hidden tokens from its others, without a photo.

        Args:
            no_image_BND: what stands for the photo.
            note: tokens before fusion, the text tower's states (the target), which are hidden.
            mask_BT: bool, True where a note token is real.
        """
        note_BTD, states_BTC, hidden_BT = note
        fused = fuse(no_image_BND, self._hide_note(note_BTD, hidden_BT), mask_BT)
        return masked_losses(self.note_head(fused.note_BTD[:, 1:]), states_BTC, hidden_BT)

    def pair_losses(
        self,
        fuse: Fuse,
        image: Hidden,
        note: Hidden,
        mask_BT: Tensor,
    ) -> Tensor:
        """Return each pair's loss (B,): hidden tokens of both, each with the other's help.

        Args:
            image: tokens before fusion, targets, which are hidden. note: the same of the note.
        """
        image_BND, tokens_BNC, hidden_BN = image
        note_BTD, states_BTC, hidden_BT = note
        fused = fuse(self._hide_image(image_BND, hidden_BN), self._hide_note(note_BTD, hidden_BT), mask_BT)
        image_B = masked_losses(self.image_head(fused.image_BND), tokens_BNC, hidden_BN)
        return image_B + masked_losses(self.note_head(fused.note_BTD[:, 1:]), states_BTC, hidden_BT)

    def _hide_image(self, image_BND: Tensor, hidden_BN: Tensor) -> Tensor:
        stand_in_ND = (self.image_mask + self.positions_ND).to(image_BND.dtype)
        return torch.where(hidden_BN[..., None], stand_in_ND, image_BND)

    def _hide_note(self, note_BTD: Tensor, hidden_BT: Tensor) -> Tensor:
        return torch.where(hidden_BT[..., None], self.note_mask.to(note_BTD.dtype), note_BTD)


def choose_hidden(mask_BK: Tensor, ratio: float, *, seed: int, epoch: int, indices_B: Tensor) -> Tensor:
    """Choose which real tokens to hide: the same share of each row, at least one of a row that has any.

    The choice is a function of (seed, epoch, index) alone: batch size, order and processes change nothing.

    Args:
        mask_BK: bool, True where a token is real.
        indices_B: int64 on the CPU, each row's position in the records.

    Returns:
        hidden_BK, bool, on the device of `mask_BK`.
    """
    length = mask_BK.shape[1]
    scores_BK = np.stack(
        [np.random.default_rng([seed, _MASK_STREAM, epoch, index]).random(length) for index in indices_B.tolist()]
    )
    scores = torch.from_numpy(scores_BK.astype(np.float32)).to(mask_BK.device, non_blocking=True)
    rank_BK = scores.masked_fill(~mask_BK, 2.0).argsort(dim=1).argsort(dim=1)
    hidden_B = (mask_BK.sum(dim=1) * ratio).round().clamp(min=1)
    return (rank_BK < hidden_B[:, None]) & mask_BK


def _head(width: int, target_width: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, target_width))
