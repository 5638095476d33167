"""How a photo becomes the model's input: the one description that training, evaluation and inference share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class PreprocessConfig:
    """Geometry (done on uint8 by the data layer) and normalisation (done by the model).

    Attributes:
        image_size_px: side of the square input.
        crop_ratio: share of the shorter side that the centre crop keeps (timm's `crop_pct`).
        interpolation: how the weights were trained to see resized photos.
        mean, std: per channel, RGB, on a 0..1 scale.
    """

    image_size_px: int
    crop_ratio: float
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
