"""Where each check on a photo starts to flag, and the names of the checks."""

from __future__ import annotations

from dataclasses import dataclass

CHECK_NAMES = (
    "augmented",
    "blurred",
    "border",
    "extreme-aspect",
    "grey-scale",
    "low-contrast",
    "text-overlay",
    "too-dark",
    "too-light",
    "uniform",
)
NOT_A_LEAF = "not-a-leaf"  # what `--embeddings` adds to them


@dataclass(frozen=True, slots=True)
class CheckThresholds:
    """Where each check starts to flag. Grey levels are 0..255; `CleanConfig` has a flag of each name.

    Attributes:
        dark_level: too dark when the 99th percentile of grey lies below.
        light_level: too light when the 5th percentile lies above.
        low_contrast_range: low contrast when the 5th and 95th percentiles are closer.
        uniform_std: almost uniform when the standard deviation is smaller.
        blurred_variance: blurred when the variance of the Laplacian of the sharpest of 3×3 tiles is smaller.
        extreme_aspect_ratio: a strip when the longer side is more than this many times the shorter.
        grey_chroma: grey-scale when 99 % of the pixels have red, green and blue closer than this.
    """

    dark_level: float = 70.0
    light_level: float = 215.0
    low_contrast_range: float = 20.0
    uniform_std: float = 4.0
    blurred_variance: float = 15.0
    extreme_aspect_ratio: float = 3.0
    grey_chroma: float = 10.0
