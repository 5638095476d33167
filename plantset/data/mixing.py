"""MixUp and CutMix: two photos that stand together in a batch become two mixtures of both.

Neighbours of the epoch's order, 2k and 2k + 1, are mixed with each other, by numbers drawn from (seed, epoch, photo).
So a mixture is the same for any number of workers and of processes and after a restart, no photo is read twice, and
the two mixtures of a pair together hold each photo once. It needs a number of photos in a process's batch that is even.

On cached features, which the frozen part made of photos not mixed yet, the same is done to its maps (manifold mixup,
Verma et al., arXiv 1806.05236, equation 1, at the layer where the frozen part ends).

A mixture has no note and no text: no grower describes half a leaf of each of two plants, and a text about one of them
would be wrong about the other. It counts in the classification loss alone, and where image tokens are masked.

Dimensions: B batch, … those of a photo (H, W, C) or of a feature map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plantset.data.choices import MixPolicy
from plantset.data.sampler import Key

_MIX_STREAM = 3
PIXEL_AXES = (0, 1)


@dataclass(frozen=True, slots=True)
class Mixer:
    """Mixes the pairs of a batch; picklable, so that worker processes can have it.

    Attributes:
        axes: of rows and columns in one photo's tensor, which CutMix cuts; (0, 1) for pixels (H, W, C).
    """

    policy: MixPolicy
    seed: int
    axes: tuple[int, int] = PIXEL_AXES

    def mix(self, keys: Sequence[Key], images_B: Tensor) -> Tensor:
        """Mix pairs in place; return the neighbour's share (B,) of each, at most a half, 0 where nothing was mixed.

        Args:
            images_B: uint8 pixels or float features, (B, …).
        """
        shares_B = torch.zeros(len(keys))
        for first in range(0, len(keys) - 1, 2):
            if not (keys[first].is_padding or keys[first + 1].is_padding):
                shares_B[first : first + 2] = self._mix_pair(keys[first], images_B[first : first + 2])
        return shares_B

    def _mix_pair(self, key: Key, pair_2: Tensor) -> float:
        policy = self.policy
        rng = np.random.default_rng([self.seed, _MIX_STREAM, key.epoch, key.index, key.repeat])
        chance, kind = rng.random(2)
        if chance >= policy.prob:
            return 0.0
        cuts = policy.cutmix > 0 and (policy.mixup <= 0 or kind < 0.5)
        alpha = policy.cutmix if cuts else policy.mixup
        # With a share above a half the two mixtures of a pair would only change places: each keeps its own class first.
        drawn = float(rng.beta(alpha, alpha))
        share = min(drawn, 1.0 - drawn)
        return self._cut(pair_2, share, rng) if cuts else _blend(pair_2, share)

    def _cut(self, pair_2: Tensor, share: float, rng: np.random.Generator) -> float:
        """Exchange a box between the two; return its true share of the area (Yun et al., arXiv 1905.04899, eq. 1-2)."""
        slices: list[slice] = [slice(None)] * (pair_2.ndim - 1)
        area = 1.0
        for axis in self.axes:
            size = pair_2.shape[axis + 1]
            half = size * np.sqrt(share) / 2
            centre = rng.uniform(0, size)
            low, high = max(0, round(centre - half)), min(size, round(centre + half))
            slices[axis] = slice(low, high)
            area *= (high - low) / size
        box = tuple(slices)
        pair_2[(slice(None), *box)] = pair_2[(slice(None), *box)].flip(0)
        return area


def neighbours(values_B: Tensor) -> Tensor:
    """Return for each row the value of the photo that it would be mixed with; its own where it has none."""
    rows_B = torch.arange(len(values_B))
    other_B = rows_B ^ 1
    return values_B[torch.where(other_B < len(values_B), other_B, rows_B)]


def _blend(pair_2: Tensor, share: float) -> float:
    """Average the two (Zhang et al., arXiv 1710.09412, section 2)."""
    mixed_2 = torch.lerp(pair_2.float(), pair_2.float().flip(0), share)
    pair_2.copy_(mixed_2 if pair_2.is_floating_point() else mixed_2.round())
    return share
