"""The learning rate of a step, as a pure function of its number."""

from __future__ import annotations

import math


def warmup_cosine(step: int, *, warmup_steps: int, total_steps: int) -> float:
    """Return the factor on the learning rate: linear from 0 to 1, then half a cosine to 0.

    Source: Loshchilov and Hutter, arXiv 1608.03983, eq. 5, one cycle, after the linear warm-up of Goyal et al.,
    arXiv 1706.02677. The first step has 1 / warmup_steps, not 0: a step of size 0 is a wasted step.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
