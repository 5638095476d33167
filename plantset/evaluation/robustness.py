"""What bad photos cost: accuracy under seven kinds of spoiling, three strengths each, on the same photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantset.data import corruptions
from plantset.evaluation.intervals import Estimate, mean_estimate

Pixels = NDArray[np.uint8]
SEVERITIES = (1, 2, 3)
MAX_PHOTOS = 256  # 22 answers a photo: more would take long and narrow the intervals little


@dataclass(frozen=True, slots=True)
class RobustnessScore:
    """One kind of spoiling at one strength.

    Attributes:
        loss: accuracy minus that on the same photos as they are (negative: worse), with a paired interval.
    """

    kind: str
    severity: int
    num_photos: int
    accuracy: Estimate
    loss: Estimate


def blur(view_HWC: Pixels, severity: int) -> Pixels:
    """Blur by a Gaussian of 0.6, 1.2 or 2.4 % of the side: a shaking hand, a wrong focus."""
    return corruptions.blur(view_HWC, (0.006, 0.012, 0.024)[severity - 1])


def jpeg(view_HWC: Pixels, severity: int) -> Pixels:
    """Encode as JPEG of quality 40, 20 or 8: a photo sent through a messenger."""
    return corruptions.compress(view_HWC, (40, 20, 8)[severity - 1])


def dark(view_HWC: Pixels, severity: int) -> Pixels:
    """Divide the light by 1.5, 2.5 or 4."""
    return corruptions.expose(view_HWC, 1 / (1.5, 2.5, 4.0)[severity - 1])


def bright(view_HWC: Pixels, severity: int) -> Pixels:
    """Multiply the light by 1.3, 1.7 or 2.4: what is white stays white."""
    return corruptions.expose(view_HWC, (1.3, 1.7, 2.4)[severity - 1])


def crop(view_HWC: Pixels, severity: int) -> Pixels:
    """Keep the middle 80, 60 or 40 % of the side: too near."""
    side = view_HWC.shape[0]
    kept = max(1, round(side * (0.8, 0.6, 0.4)[severity - 1]))
    start = (side - kept) // 2
    return corruptions.resize(view_HWC[start : start + kept, start : start + kept], side)


def small(view_HWC: Pixels, severity: int) -> Pixels:
    """Keep a half, a quarter or an eighth of the pixels of a side: a thumbnail."""
    return corruptions.shrink(view_HWC, (2, 4, 8)[severity - 1])


def rotate(view_HWC: Pixels, severity: int) -> Pixels:
    """Turn by 15, 30 or 45 degrees, the corners filled by mirroring."""
    return corruptions.rotate(view_HWC, (15, 30, 45)[severity - 1])


SPOILERS: Mapping[str, Callable[[Pixels, int], Pixels]] = {
    "blur": blur,
    "jpeg": jpeg,
    "dark": dark,
    "bright": bright,
    "crop": crop,
    "small": small,
    "rotation": rotate,
}


def score_robustness(
    answer: Callable[[Pixels], NDArray[np.int64]],
    views_NHWC: Pixels,
    labels_N: NDArray[np.int64],
    group_index_N: NDArray[np.int64],
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> tuple[RobustnessScore, ...]:
    """Spoil the views, ask again, compare.

    Args:
        answer: views -> class indices.
        views_NHWC: uint8, as the model sees them: strengths are relative to that size, not to the camera's.
    """
    right_clean = (answer(views_NHWC) == labels_N).astype(float)
    scores = []
    for kind, spoil in SPOILERS.items():
        for severity in SEVERITIES:
            spoiled = np.stack([spoil(view, severity) for view in views_NHWC])
            right = (answer(spoiled) == labels_N).astype(float)
            accuracy = mean_estimate(right, group_index_N, bootstrap_count, rng)
            loss = mean_estimate(right - right_clean, group_index_N, bootstrap_count, rng, is_share=False)
            scores.append(RobustnessScore(kind, severity, len(labels_N), accuracy, loss))
    return tuple(scores)
