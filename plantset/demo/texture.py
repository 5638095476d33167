"""Smooth random fields: the raw material of leaf tissue, lesion edges, soil and paper."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

TILE_PX = 768
_Scalar = TypeVar("_Scalar", bound=np.generic)


def smooth_noise(rng: np.random.Generator, cells: int, size_px: int = TILE_PX) -> Field:
    """Return a (size_px, size_px) field, mean 0 and deviation 1, with about `cells` bumps along a side."""
    seeds = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
    field = cv2.resize(seeds, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    return _standardised(field)


def fractal_noise(rng: np.random.Generator, cells: int, octaves: int, size_px: int = TILE_PX) -> Field:
    """Return a sum of `octaves` smooth fields, each twice as fine and half as strong; mean 0, deviation 1."""
    total = np.zeros((size_px, size_px), np.float32)
    for octave in range(octaves):
        total += smooth_noise(rng, cells << octave, size_px) * np.float32(0.55**octave)
    return _standardised(total)


def _standardised(field: NDArray[Any]) -> Field:
    result: Field = np.ascontiguousarray((field - field.mean()) / field.std(), dtype=np.float32)
    return result


def three(field: NDArray[Any]) -> Field:
    """Return the field as three equal channels; several times faster than broadcasting over a last axis of 3."""
    same = field.astype(np.float32, copy=False)
    return cv2.merge([same, same, same]).astype(np.float32, copy=False)


class TextureBank:
    """Large fields drawn once per process; crops of them stand in for fresh noise at no cost.

    The bank depends on `seed` alone, so that every worker holds the same one.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 0xBA4C])
        self._fields = {
            "coarse": [smooth_noise(rng, 14) for _ in range(3)],
            "medium": [fractal_noise(rng, 48, 3) for _ in range(3)],
            "fine": [fractal_noise(rng, 160, 2) for _ in range(2)],
            "grain": [_standardised(rng.standard_normal((TILE_PX, TILE_PX), dtype=np.float32)) for _ in range(2)],
        }

    def crop(self, kind: str, rng: np.random.Generator, height: int, width: int) -> Field:
        """Return a random (height, width) window of a "coarse", "medium", "fine" or "grain" field, maybe flipped."""
        fields = self._fields[kind]
        return random_window(fields[int(rng.integers(len(fields)))], rng, height, width)


def random_window(tile: NDArray[_Scalar], rng: np.random.Generator, height: int, width: int) -> NDArray[_Scalar]:
    """Return a random (height, width, …) window of `tile`, flipped and turned by quarter turns at random."""
    turned = np.rot90(tile, int(rng.integers(4)))
    if rng.integers(2):
        turned = turned[::-1]
    top = int(rng.integers(turned.shape[0] - height + 1))
    left = int(rng.integers(turned.shape[1] - width + 1))
    return turned[top : top + height, left : left + width]
