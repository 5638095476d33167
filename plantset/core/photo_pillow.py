"""Every format but JPEG: decoded by the one Pillow plugin that its first bytes name."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from plantset.core.exif import DATE_TIME_ORIGINAL, EXIF_IFD, ORIENTATION, ExifFacts, iso_time
from plantset.core.photo_colour import Pixels, image_to_srgb, to_srgb
from plantset.core.photo_error import PhotoError, check_size

_PLUGINS: dict[str, Callable[..., Any]] = {
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
}
_SIXTEEN_BIT_MODES = {"I;16", "I;16L", "I;16B", "I;16N"}
_PILLOW_DAMAGE = (  # all that its plugins raise on damaged bytes, found by fuzzing
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def decode_with_pillow(data: bytes, kind: str, name: str, notes: set[str]) -> tuple[Pixels, ExifFacts]:
    """Decode the first frame of a file of this kind ("png", "webp", …); what was unusual is added to the notes.

    Raises:
        PhotoError: the file is damaged or too large, or this machine can't read the format.
    """
    plugin = _plugin(kind, name)
    if kind == "png":
        _check_png(data, name)
    if kind == "webp" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise PhotoError("truncated", "the RIFF length goes beyond the end of the file", name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of senseless EXIF in photos that are otherwise whole
            image = plugin(BytesIO(data))
            check_size(image.size, name)
            image.load()
            pixels = _to_rgb(image, name, notes)
            exif = _pillow_exif(image)
    except Image.DecompressionBombError as error:
        raise PhotoError("too-many-pixels", str(error).split(",")[0], name) from error
    except _PILLOW_DAMAGE as error:
        reason = "truncated" if "truncated" in str(error) else "corrupt"
        raise PhotoError(reason, str(error).split("\n")[0][:200], name) from error
    return pixels, exif


def _plugin(kind: str, name: str) -> Callable[..., Any]:
    if kind == "avif" and not features.check("avif"):
        raise PhotoError("unsupported-format", "AVIF: this Pillow was built without it", name)
    if kind != "heic":
        return _PLUGINS[kind]
    try:
        from pi_heif import HeifImageFile
    except ImportError as error:
        raise PhotoError("unsupported-format", "HEIC: pip install pi-heif", name) from error
    return cast("Callable[..., Any]", HeifImageFile)


def _pillow_exif(image: Any) -> ExifFacts:
    tags = image.getexif()
    orientation = tags.get(ORIENTATION)
    time = tags.get_ifd(EXIF_IFD).get(DATE_TIME_ORIGINAL)
    return ExifFacts(
        orientation if orientation in range(1, 9) else 1, iso_time(time) if isinstance(time, str) else None
    )


def _check_png(data: bytes, name: str) -> None:
    """Check every chunk's CRC up to the end chunk: Pillow skips those of the picture data."""
    position = 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        stop = position + 12 + length
        if stop > len(data):
            break
        if zlib.crc32(data[position + 4 : stop - 4]) != int.from_bytes(data[stop - 4 : stop], "big"):
            raise PhotoError("corrupt", "a PNG checksum is wrong", name)
        if data[position + 4 : position + 8] == b"IEND":
            return
        position = stop
    raise PhotoError("truncated", "the PNG end chunk is missing", name)


def _to_rgb(image: Any, name: str, notes: set[str]) -> Pixels:
    """Return the first frame of a loaded picture as sRGB; transparency is laid on white."""
    profile = image.info.get("icc_profile")
    if image.mode in _SIXTEEN_BIT_MODES:
        notes.add("sixteen-bit")
        grey = ((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))
    if image.mode in ("I", "F", "LAB", "HSV"):
        raise PhotoError("unsupported-format", f"{image.format} with {image.mode} samples", name)
    if image.mode == "CMYK":
        notes.add("cmyk")
        return image_to_srgb(image, profile, notes)
    if image.has_transparency_data:
        notes.add("transparency")
        rgba = image.convert("RGBA")
        opaque = Image.new("RGBA", rgba.size, "white")
        opaque.alpha_composite(rgba)
        image = opaque
    pixels = np.array(image.convert("RGB"), dtype=np.uint8)
    return to_srgb(pixels, profile, notes) if profile else pixels
