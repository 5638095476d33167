"""What cameras and messengers do to a photo, for training views and for robustness tests alike.

None of it turns a hue: disease is colour. Each takes and gives (S, S, 3) uint8 views; lengths are shares of the side.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.data.choices import AugmentPolicy

Pixels = NDArray[np.uint8]
_MIN_QUALITY = 5


def blur(view_HWC: Pixels, sigma_ratio: float) -> Pixels:
    """Blur by a Gaussian: a shaking hand, a wrong focus."""
    return as_pixels(cv2.GaussianBlur(view_HWC, (0, 0), max(sigma_ratio * view_HWC.shape[0], 1e-3)))


def compress(view_HWC: Pixels, quality: int) -> Pixels:
    """Encode as JPEG of this quality and decode it: a photo sent through a messenger."""
    coded = cv2.imencode(".jpg", view_HWC[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return as_pixels(decoded[:, :, ::-1])


def shrink(view_HWC: Pixels, factor: float) -> Pixels:
    """Keep one pixel of each `factor` of a side, and enlarge again: a thumbnail."""
    side = view_HWC.shape[0]
    return resize(resize(view_HWC, max(1, round(side / factor))), side)


def rotate(view_HWC: Pixels, degrees: float) -> Pixels:
    """Turn around the middle, the corners filled by mirroring."""
    side = view_HWC.shape[0]
    turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, 1.0)
    return as_pixels(cv2.warpAffine(view_HWC, turn, (side, side), borderMode=cv2.BORDER_REFLECT_101))


def expose(view_HWC: Pixels, gain: float) -> Pixels:
    """Multiply the light: what is white stays white."""
    table = np.clip(np.round(np.arange(256) * gain), 0, 255).astype(np.uint8)
    return as_pixels(cv2.LUT(view_HWC, table))


def add_noise(view_HWC: Pixels, deviation: float, rng: np.random.Generator) -> Pixels:
    """Add Gaussian grain of this standard deviation in levels, the same to all three channels: grey, no colour."""
    grain_HW = rng.standard_normal(view_HWC.shape[:2], dtype=np.float32) * np.float32(deviation)
    return as_pixels(view_HWC + grain_HW[:, :, None])


def corrupt_view(view_HWC: Pixels, policy: AugmentPolicy, rng: np.random.Generator) -> Pixels:
    """Spoil a view: each kind with the policy's probability, by a uniform share of its strength.

    As TrivialAugment draws its strengths (arXiv 2103.10158, section 3), but several kinds may meet, in the order in
    which they happen to a photo: held askew, badly lit, out of focus, too small, grainy, sent on.
    """
    for corruption in _IN_ORDER:
        chance, share = rng.random(2)
        if chance < policy.prob:
            view_HWC = corruption(view_HWC, share * policy.strength, rng)
    return view_HWC


def resize(view_HWC: Pixels, side: int) -> Pixels:
    """Return the view with another side: averaged when it shrinks, bilinear when it grows."""
    method = cv2.INTER_AREA if side < view_HWC.shape[0] else cv2.INTER_LINEAR
    return as_pixels(cv2.resize(view_HWC, (side, side), interpolation=method))


def as_pixels(values: NDArray[np.generic] | cv2.typing.MatLike) -> Pixels:
    """Return contiguous uint8, rounded and clipped."""
    values = np.asarray(values)
    if values.dtype != np.uint8:
        values = np.clip(np.rint(values.astype(np.float32, copy=False)), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(values)


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


_Corruption = Callable[[Pixels, float, np.random.Generator], Pixels]
_IN_ORDER: tuple[_Corruption, ...] = (
    lambda view, amount, rng: rotate(view, 20.0 * amount * _sign(rng)),
    lambda view, amount, rng: expose(view, 1.6 ** (amount * _sign(rng))),
    lambda view, amount, _: blur(view, 0.016 * amount),
    lambda view, amount, _: shrink(view, 1.0 + 4.0 * amount),
    lambda view, amount, rng: add_noise(view, 16.0 * amount, rng),
    lambda view, amount, _: compress(view, max(_MIN_QUALITY, round(80 - 65 * amount))),
)
