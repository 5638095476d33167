"""What stands around the leaf in one photo: things that are no symptom and may yet tell the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

Cue = Literal["border", "colour", "file"]
CUES: tuple[Cue, ...] = get_args(Cue)


@dataclass(frozen=True, slots=True)
class PhotoCues:
    """What stands around the leaf in one photo.

    Attributes:
        colours: `colour_bytes` of the written image.
        file_bytes: size of the source file.
    """

    colours: bytes
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well one cue alone names the class.

    Attributes:
        scope: the collection that was judged; "" for all photos together.
        accuracy: on photos of leaves that the regression did not see.
        low, high: its 95 % interval, by resampling leaves.
        chance: what always naming the commonest class gets on the same photos.
        num_photos, num_classes: judged; classes with fewer than 6 leaves are left out.
    """

    scope: str
    cue: Cue
    accuracy: float
    low: float
    high: float
    chance: float
    num_photos: int
    num_classes: int

    @property
    def tells(self) -> bool:
        """Return whether the cue says clearly more than chance: half again as much, and beyond the interval."""
        return self.low > self.chance and self.accuracy > 1.5 * self.chance


def colour_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Return the 8 border pixels (corners and middles of the sides) and the mean colour of (H, W, 3) pixels."""
    mean = bytes(round(channel) for channel in cv2.mean(pixels[::4])[:3])
    return b"".join(pixels[row, column].tobytes() for row, column in zip(*_border_places(pixels), strict=True)) + mean


def border_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the corners and middles of the sides, (..., 8, 3), of (..., H, W, 3) pixels."""
    down, across = _border_places(pixels)
    return pixels[..., down, across, :]


def _border_places(pixels: NDArray[np.uint8]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the rows and the columns of the 8 border pixels."""
    bottom, right = pixels.shape[-3] - 1, pixels.shape[-2] - 1
    down = (0, 0, 0, bottom // 2, bottom // 2, bottom, bottom, bottom)
    across = (0, right // 2, right, 0, right, 0, right // 2, right)
    return down, across
