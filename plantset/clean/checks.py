"""What can be wrong with a photo that decodes: each check flags, none deletes unless `--reject` names it.

The rates in the docstrings are those of benchmarks/checks.py; the thresholds were chosen on the same photos and the
same kinds of damage, so other collections may fare worse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.clean.frame import has_border, has_rotated_corners, is_named_augmented
from plantset.clean.overlay import has_text
from plantset.clean.thresholds import CheckThresholds

# Checks look at the photo shrunk to this longer side, never enlarged. At 1,024 px slight blur is seen better: of 300
# photos enlarged to 1,632 px, grain added, a Gaussian of 3 px is found in 6 % (31 % at 1,024 px), of 5 px in 33 %
# (77 %), of 8 px in 96 % (100 %), of 12 px in all; but that is four times the pixels to look at.
WORKING_SIZE_PX = 512
_THUMBNAIL_PX = 128
_LEVELS = np.arange(256, dtype=np.float64)

Grey = NDArray[np.uint8]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """One photo as the checks see it.

    Attributes:
        grey: (H, W), longer side at most `WORKING_SIZE_PX`.
        colours: (h, w, 3) RGB, longer side at most 128.
        levels: 5th, 95th and 99th percentile of grey.
        spread: standard deviation of grey.
        original_size: (width, height) before any shrinking.
        name: of the source file.
    """

    grey: Grey
    colours: Pixels
    levels: tuple[int, ...]
    spread: float
    original_size: tuple[int, int]
    name: str


def view_photo(pixels: Pixels, grey: Grey, original_size: tuple[int, int], name: str = "") -> View:
    """Prepare what the checks share.

    Args:
        pixels: (H, W, 3) RGB, longer side at most `WORKING_SIZE_PX`.
        grey: the same in grey.
    """
    counts = _histogram(grey)
    levels = _levels_of(counts, (0.05, 0.95, 0.99))
    return View(grey, _thumbnail(pixels), levels, _spread_of(counts), original_size, name)


def find_issues(view: View, thresholds: CheckThresholds) -> tuple[str, ...]:
    """Return the names of the checks that the photo fails, sorted."""
    return tuple(name for name, fails in CHECKS.items() if fails(view, thresholds))


def is_augmented(view: View, _thresholds: CheckThresholds) -> bool:
    """Return whether the photo is a made copy, by its name or by the corners that turning left empty.

    Rates: see `has_rotated_corners` and `is_named_augmented`.
    """
    return is_named_augmented(view.name) or has_rotated_corners(view.colours)


def is_blurred(view: View, thresholds: CheckThresholds) -> bool:
    """Return whether no part of the photo is sharp; an almost uniform one is not called so.

    Measured: flags 10 of 5,454 real photos (6 of 1,824 in the field, 4 of 3,630 in the lab); 7 of them are out of
    focus, 3 close-ups of a smooth leaf. Of 300 photos blurred by a Gaussian of 1/256 of the longer side 2 % are found,
    of 2/256 56 %, of 3/256 97 %. One variance under 100 for the whole photo flags 442 of the 5,454.
    """
    return not is_uniform(view, thresholds) and not is_sharp(view.grey, thresholds.blurred_variance)


def shows_border(view: View, _thresholds: CheckThresholds) -> bool:
    """Return whether the photo has a frame or a letterbox. Rates: see `has_border`."""
    return has_border(view.grey)


def is_strip(view: View, thresholds: CheckThresholds) -> bool:
    """Return whether the photo is much longer than wide, or wider than long.

    Measured: flags 3 of 5,454 real photos (all field), all of them strips. Exact, so nothing was spoiled.
    """
    width, height = view.original_size
    return max(width, height) > thresholds.extreme_aspect_ratio * min(width, height)


def is_grey_scale(view: View, thresholds: CheckThresholds) -> bool:
    """Return whether the photo has no colour.

    Measured: flags 0 of 5,454 real photos, and 100 % of 300 whose colour was removed. Sepia is not found.
    """
    most = 0.01 * (view.colours.size // 3)
    if _count_colourful(view.colours[::4], thresholds.grey_chroma) > most:  # nearly all photos are done here
        return False
    return _count_colourful(view.colours, thresholds.grey_chroma) <= most


def has_low_contrast(view: View, thresholds: CheckThresholds) -> bool:
    """Return whether almost all pixels are of nearly one grey.

    Measured: flags 6 of 5,454 real photos (all lab: close-ups of an even leaf). Of 300 with contrast ×1/4 it finds 8 %,
    ×1/8 70 %, ×1/16 100 %.
    """
    return view.levels[1] - view.levels[0] < thresholds.low_contrast_range


def shows_text(view: View, _thresholds: CheckThresholds) -> bool:
    """Return whether a line of text stands on the photo. Rates: see `has_text`."""
    return has_text(view.grey)


def is_too_dark(view: View, thresholds: CheckThresholds) -> bool:
    """Return whether even the lightest 1 % of the photo is dark: a leaf on black is not.

    Measured: flags 3 of 5,454 real photos (all lab, all dark). Of 300 with light ×1/2 it finds 2 %, ×1/3 37 %,
    ×1/4 100 %.
    """
    return view.levels[2] < thresholds.dark_level


def is_too_light(view: View, thresholds: CheckThresholds) -> bool:
    """Return whether even the darkest 5 % of the photo is light: a leaf on white is not.

    Measured: flags 0 of 5,454 real photos. Of 300 with a quarter of the distance to white it finds 7 %, an eighth
    100 %.
    """
    return view.levels[0] > thresholds.light_level


def is_uniform(view: View, thresholds: CheckThresholds) -> bool:
    """Return whether the photo is almost one grey all over.

    Measured: flags 1 of 5,454 real photos (lab: a close-up of an even leaf), and 100 % of 300 with contrast ×1/32.
    """
    return view.spread < thresholds.uniform_std


def percentiles(grey: Grey, shares: tuple[float, ...]) -> tuple[int, ...]:
    """Return the grey level below or at which each share (0..1) of the pixels lies."""
    return _levels_of(_histogram(grey), shares)


def sharpness(grey: Grey) -> float:
    """Return the variance of the Laplacian in the sharpest of 3×3 tiles.

    One sharp tile is enough: a leaf on a plain background has eight smooth ones, and the variance over the whole
    photo then calls it blurred.
    """
    return max(_tile_variances(grey))


def is_sharp(grey: Grey, least: float) -> bool:
    """Return whether `sharpness` is at least this; the tile in the middle mostly tells."""
    return any(variance >= least for variance in _tile_variances(grey))


def _tile_variances(grey: Grey) -> Iterator[float]:
    """Yield the variance of the Laplacian in each of 3×3 tiles, the one in the middle first."""
    rows, columns = (_thirds(length) for length in grey.shape)
    for row, column in sorted(product(range(3), range(3)), key=lambda place: place != (1, 1)):
        (top, bottom), (left, right) = rows[row], columns[column]
        if top < bottom and left < right:
            above, before = max(top - 1, 0), max(left - 1, 0)  # its neighbours, as far as there are any
            around = cv2.Laplacian(grey[above : bottom + 1, before : right + 1], cv2.CV_16S)
            yield _variance(around[top - above :, left - before :][: bottom - top, : right - left])


def _thirds(length: int) -> list[tuple[int, int]]:
    """Cut as evenly as can be, the longer parts first."""
    edges = [part * (length // 3) + min(part, length % 3) for part in range(4)]
    return list(pairwise(edges))


def _histogram(grey: Grey) -> NDArray[np.float32]:
    return np.asarray(cv2.calcHist([grey], [0], None, [256], [0, 256]), dtype=np.float32).ravel()


def _levels_of(counts: NDArray[np.float32], shares: tuple[float, ...]) -> tuple[int, ...]:
    cumulated = counts.cumsum()
    return tuple(cumulated.searchsorted(float(cumulated[-1]) * np.array(shares)).tolist())


def _spread_of(counts: NDArray[np.float32]) -> float:
    shares = counts.astype(np.float64) / float(counts.sum())
    mean = float(shares @ _LEVELS)
    return math.sqrt(max(0.0, float(shares @ (_LEVELS * _LEVELS)) - mean * mean))


def _count_colourful(colours: Pixels, least: float) -> int:
    red, green, blue = cv2.split(colours)
    chroma = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    return int(np.count_nonzero(chroma >= least))


def _thumbnail(pixels: Pixels) -> Pixels:
    """Shrink without averaging over areas: colours and even corners need none, and it takes a fifth of the time."""
    height, width = pixels.shape[:2]
    scale = min(1.0, _THUMBNAIL_PX / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _variance(tile: NDArray[Any]) -> float:
    """Half the time of `cv2.meanStdDev`, which has no fast path for 16 bits."""
    return float(cv2.norm(tile, cv2.NORM_L2SQR)) / tile.size - float(cv2.mean(tile)[0]) ** 2


CHECKS: Mapping[str, Callable[[View, CheckThresholds], bool]] = {
    "augmented": is_augmented,
    "blurred": is_blurred,
    "border": shows_border,
    "extreme-aspect": is_strip,
    "grey-scale": is_grey_scale,
    "low-contrast": has_low_contrast,
    "text-overlay": shows_text,
    "too-dark": is_too_dark,
    "too-light": is_too_light,
    "uniform": is_uniform,
}
