"""The learning rate of a step, as a pure function of its number: a resumed run needs to know nothing else."""

from __future__ import annotations

import math

from plantset.training.config_learning import ScheduleName

_WARMUP_RATIO = {"cosine": 0.05, "constant": 0.05, "one-cycle": 0.3}
_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1 / 25e4  # of the peak: Smith and Topin's, as torch's OneCycleLR has them


def default_warmup_steps(schedule: ScheduleName, total_steps: int) -> int:
    """Return how many steps the learning rate rises where nobody says: 5 %, one-cycle's 30 %."""
    return round(_WARMUP_RATIO[schedule] * total_steps)


def learning_rate_factor(step: int, *, schedule: ScheduleName, warmup_steps: int, total_steps: int) -> float:
    """Return what the learning rate of a step, counted from 0, is of its peak."""
    if schedule == "one-cycle":
        return _one_cycle(step, warmup_steps, total_steps)
    if step < warmup_steps:
        return _warmup(step, warmup_steps)
    if schedule == "constant":
        return 1.0
    return warmup_cosine(step, warmup_steps=warmup_steps, total_steps=total_steps)


def warmup_cosine(step: int, *, warmup_steps: int, total_steps: int) -> float:
    """Return the factor on the learning rate: linear from 0 to 1, then half a cosine to 0.

    Source: Loshchilov and Hutter, arXiv 1608.03983, eq. 5, one cycle, after the linear warm-up of Goyal et al.,
    arXiv 1706.02677. The first step has 1 / warmup_steps, not 0: a step of size 0 is a wasted step.
    """
    if step < warmup_steps:
        return _warmup(step, warmup_steps)
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return _cosine(1.0, 0.0, done)


def _warmup(step: int, warmup_steps: int) -> float:
    return (step + 1) / warmup_steps


def _one_cycle(step: int, warmup_steps: int, total_steps: int) -> float:
    """Up by half a cosine to the peak, down by half a cosine to almost nothing (Smith and Topin, arXiv 1708.07120).

    The momentum stays as it is: cycling it would be a second state of the optimizer to resume.
    """
    peak = max(warmup_steps - 1, 0)
    if step < peak:
        return _cosine(_ONE_CYCLE_START, 1.0, step / peak)
    return _cosine(1.0, _ONE_CYCLE_END, (step - peak) / max(1, total_steps - 1 - peak))


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
