"""95 % intervals by resampling leaves, not photos: several photos of one leaf are not independent proofs.

Every score here is a function of sums over photos, so one resample of groups is a weighted sum of per-group sums:
no loop over photos, and the same draws serve paired comparisons.

Dimensions: N photos, G groups, K summed columns, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

_WEIGHTS_PER_CHUNK = 4_000_000  # 32 MB of float64 at a time, however many groups there are
_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its 95 % interval; `low` and `high` are None where none can be had (one group, no resamples)."""

    value: float
    low: float | None = None
    high: float | None = None


def index_groups(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """Number the groups from 0 in order of first sight; a photo without a group is a group of its own."""
    numbers: dict[object, int] = {}
    keys = [("photo", row) if group is None else ("group", group) for row, group in enumerate(groups)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def renumber_groups(group_index_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the groups of a selection of photos from 0 again, without gaps."""
    return np.unique(group_index_N, return_inverse=True)[1].astype(np.int64)


def group_sums(values_NK: Any, group_index_N: NDArray[np.int64]) -> Any:
    """Sum the rows of each group: (N, K) dense or sparse -> (G, K) of the same kind."""
    num_photos = len(group_index_N)
    ones = np.ones(num_photos)
    members_GN = scipy.sparse.csr_array(
        (ones, (group_index_N, np.arange(num_photos))), shape=(int(group_index_N.max()) + 1, num_photos)
    )
    return members_GN @ values_NK


def bootstrap_totals(sums_GK: Any, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw G groups with replacement, `count` times, and return the column totals of each draw: (R, K)."""
    num_groups = sums_GK.shape[0]
    chunk = max(1, _WEIGHTS_PER_CHUNK // num_groups)
    totals = [np.empty((0, sums_GK.shape[1]))]
    for start in range(0, count, chunk):
        rows = min(chunk, count - start)
        drawn_RG = rng.integers(num_groups, size=(rows, num_groups)) + np.arange(rows)[:, None] * num_groups
        weights_RG = np.bincount(drawn_RG.ravel(), minlength=rows * num_groups).reshape(rows, num_groups)
        totals.append(np.asarray(weights_RG.astype(np.float64) @ sums_GK))
    return np.concatenate(totals)


def percentile_estimate(value: float, samples_R: NDArray[np.float64], num_groups: int) -> Estimate:
    """Return `value` with the 2.5th and 97.5th percentiles of its resamples; nan resamples are left out.

    No interval for a single group, nor when all resamples agree: that is no proof of certainty.
    """
    known = samples_R[~np.isnan(samples_R)]
    if num_groups < 2 or len(known) == 0 or known.min() == known.max():
        return Estimate(value)
    low, high = np.percentile(known, (2.5, 97.5))
    return Estimate(value, float(low), float(high))


def mean_estimate(
    values_N: NDArray[Any],
    group_index_N: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
    *,
    is_share: bool = True,
) -> Estimate:
    """Return the mean over photos, with its interval by resampled groups.

    When every photo agrees (all right, all wrong) resampling sees no spread; the Wilson score interval over groups
    is given instead, so that 12 leaves out of 12 do not claim certainty.

    Args:
        is_share: whether values are 0 or 1; of differences and sizes that all agree no interval is known.
    """
    values = values_N.astype(np.float64)
    value = float(values.mean())
    num_groups = int(group_index_N.max()) + 1
    if is_share and count and num_groups > 1 and values.min() == values.max() and value in (0.0, 1.0):
        return Estimate(value, *_wilson(value, num_groups))
    columns_N2 = np.column_stack([values, np.ones(len(values))])
    totals_R2 = bootstrap_totals(group_sums(columns_N2, group_index_N), count, rng)
    return percentile_estimate(value, totals_R2[:, 0] / totals_R2[:, 1], num_groups)


def _wilson(rate: float, n: int) -> tuple[float, float]:
    centre = rate + _Z_95**2 / (2 * n)
    spread = _Z_95 * math.sqrt(rate * (1 - rate) / n + _Z_95**2 / (4 * n**2))
    scale = 1 + _Z_95**2 / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
