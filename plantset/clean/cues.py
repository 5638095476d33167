"""What stands around the leaf in one photo: things that are no symptom and may yet tell the class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PhotoCues:
    """What stands around the leaf in one photo.

    Attributes:
        colours: `colour_bytes` of the written image.
        file_bytes: size of the source file.
    """

    colours: bytes
    file_bytes: int


def colour_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Return the 8 border pixels (corners and middles of the sides) and the mean colour of (H, W, 3) pixels."""
    bottom, right = pixels.shape[0] - 1, pixels.shape[1] - 1
    down = (0, 0, 0, bottom // 2, bottom // 2, bottom, bottom, bottom)
    across = (0, right // 2, right, 0, right, 0, right // 2, right)
    mean = pixels[::4, ::4].mean(axis=(0, 1)).round().astype(np.uint8)
    return bytes(pixels[down, across].tobytes() + mean.tobytes())
