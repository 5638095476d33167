"""Which rows of a batch the costly losses look at: one of each four that stand together.

Captions, notes alone and masked tokens cost about as much per photo as the fusion itself and learn from few. One of
each four, not the first so many of the batch: two batches of 8 then choose the rows of one of 16. Their number depends
on the batch's size alone, so that shapes are static.

Dimensions: B batch, K chosen rows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TOGETHER = 4
FIRST_OF_FOUR = slice(0, None, _TOGETHER)


def marked_of_four(marks_B: Tensor) -> Tensor:
    """Return of each four rows the first that has a mark, or the first of them all: (K,) int64.

    Args:
        marks_B: 0 or 1.
    """
    fours_K4 = F.pad(marks_B, (0, -len(marks_B) % _TOGETHER)).view(-1, _TOGETHER)
    return fours_K4.argmax(dim=1) + _TOGETHER * torch.arange(len(fours_K4), device=marks_B.device)
