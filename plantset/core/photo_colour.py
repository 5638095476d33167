"""From the colours that a file means to sRGB."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Pixels = NDArray[np.uint8]


def to_srgb(pixels: Pixels, profile: bytes, notes: set[str]) -> Pixels:
    """Convert (H, W, 3) RGB pixels by the profile embedded in their file; what happened is added to the notes."""
    return image_to_srgb(Image.fromarray(pixels, "RGB"), profile, notes)


def image_to_srgb(image: Any, profile: bytes | None, notes: set[str]) -> Pixels:
    """Convert by the embedded profile; one that can't be used leaves the usual conversion and a note."""
    transform = _transform(profile, image.mode) if profile else None
    if isinstance(transform, str):
        notes.add(transform)
    elif transform is not None:
        notes.add("icc")
        image = ImageCms.applyTransform(image, transform)
    return np.array(image.convert("RGB"), dtype=np.uint8)


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> Any:
    """Return the transform to sRGB, None where the profile already is sRGB, or the note that says why there is none."""
    try:
        source = ImageCms.getOpenProfile(BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space == "GRAY" or (space == "RGB" and (source.profile.profile_description or "").startswith("sRGB")):
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "icc-unreadable"
