"""How often each class is drawn: a long tail as it is, evened out, or half-way, as a function of (seed, epoch).

Dimensions: N photos, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantset.data.choices import Sampling

_POWERS: dict[Sampling, float] = {"natural": 1.0, "sqrt": 0.5, "balanced": 0.0}


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """Photos are drawn so that a class's share of an epoch goes as its number of photos to a power.

    Attributes:
        labels_N: class of each photo.
        sampling: natural (power 1), sqrt (1/2; Mahajan et al., arXiv 1805.00932, section 2.2) or balanced (0).
    """

    labels_N: NDArray[np.int64]
    sampling: Sampling


def sampled_counts(counts_C: NDArray[np.int64], sampling: Sampling) -> NDArray[np.float64]:
    """Return the expected photos of each class in an epoch (C,), as many in all; 0 for a class without a photo."""
    weights_C = np.where(counts_C > 0, counts_C.astype(np.float64) ** _POWERS[sampling], 0.0)
    return np.asarray(weights_C / weights_C.sum() * counts_C.sum())


def epoch_order(num_photos: int, *, seed: int, epoch: int, balance: ClassBalance | None = None) -> NDArray[np.int64]:
    """Return the photos of an epoch in their order, `num_photos` of them.

    With a balance, every photo of a class is drawn as often as any other of it, or once more; which ones and the
    fraction of a photo that a class's share leaves over are drawn anew each epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    order = np.arange(num_photos) if balance is None or balance.sampling == "natural" else _draw(balance, rng)
    rng.shuffle(order)
    return order


def count_repeats(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each entry how many equal ones stand before it."""
    by_value = np.argsort(order, kind="stable")
    ordered = order[by_value]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    run_lengths = np.diff(np.r_[starts, len(order)])
    repeats = np.empty_like(order)
    repeats[by_value] = np.arange(len(order)) - np.repeat(starts, run_lengths)
    return repeats


def _draw(balance: ClassBalance, rng: np.random.Generator) -> NDArray[np.int64]:
    labels_N = balance.labels_N
    counts_C = np.bincount(labels_N)
    ends_C = np.floor(np.cumsum(sampled_counts(counts_C, balance.sampling)) + rng.random())
    ends_C[-1] = len(labels_N)  # not a rounding error more or less
    # systematic rounding: each class gets its share rounded up or down, in expectation the share itself, in sum exact
    quotas_C = np.diff(ends_C, prepend=0.0).astype(np.int64)
    chosen: list[NDArray[np.int64]] = []
    for label in np.flatnonzero(quotas_C):
        photos = np.flatnonzero(labels_N == label)
        whole, rest = divmod(int(quotas_C[label]), len(photos))
        chosen += [np.tile(photos, whole), rng.permutation(photos)[:rest]]
    return np.concatenate(chosen)
