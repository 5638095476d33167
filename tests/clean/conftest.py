"""Made-up photos that differ from each other like real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

MakePixels = Callable[..., NDArray[np.uint8]]
WritePhoto = Callable[..., Path]


def leaf_like(seed: int, width: int = 400, height: int = 300) -> NDArray[np.uint8]:
    """Smooth colour patches with fine grain: sharp, well lit, another picture for each seed."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(20, 236, (7, 7, 3), dtype=np.uint8)
    pixels = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    pixels += rng.integers(-12, 13, pixels.shape, dtype=np.int16)
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture
def make_pixels() -> MakePixels:
    return leaf_like


@pytest.fixture
def write_photo() -> WritePhoto:
    """Write photo number `seed` to a path and return the path; folders are made."""

    def write(path: Path, seed: int, *, width: int = 400, height: int = 300) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(simplejpeg.encode_jpeg(leaf_like(seed, width, height), 90, "RGB", "444"))
        return path

    return write
