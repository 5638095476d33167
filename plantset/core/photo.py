"""One way to turn a file into upright 8-bit sRGB pixels, for every stage.

JPEG is decoded by libjpeg-turbo in strict mode (simplejpeg): it refuses every truncation and more damage than
Pillow, OpenCV or libvips notice, and a refused file is never tried again with a more lenient decoder. All other
formats go to the one Pillow plugin that their first bytes name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from plantset.core.damage import find_damage, has_step
from plantset.core.exif import ExifFacts
from plantset.core.jpeg import JpegStructure, read_structure
from plantset.core.photo_colour import Pixels, image_to_srgb, to_srgb
from plantset.core.photo_error import MAX_BYTES, PhotoError, check_size
from plantset.core.photo_formats import has_wrong_suffix, sniff_format, why_no_image
from plantset.core.photo_pillow import decode_with_pillow
from plantset.core.storage import read_stored, status_of

__all__ = [
    "JPEG_QUALITY",
    "MAX_BYTES",
    "Photo",
    "PhotoError",
    "Pixels",
    "decode_photo",
    "encode_jpeg",
    "has_wrong_suffix",
    "shrink",
    "sniff_format",
]

JPEG_QUALITY = 92

_END_MARKER = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Photo:
    """One decoded photo.

    Attributes:
        pixels: (H, W, 3) uint8 RGB in sRGB, C-contiguous, upright (EXIF orientation applied).
        original_size: (width, height) in pixels, upright, before any shrinking.
        notes: what was unusual and was dealt with, sorted: "cmyk", "end-marker-repaired", "extension-mismatch",
            "icc", "icc-unreadable", "sixteen-bit", "suspected-damage", "trailing-data", "transparency".
        taken_at: the camera's own time, ISO 8601 without a zone, None when EXIF doesn't say. It stays in memory unless
            the caller writes it.
        structure: of a JPEG, what its markers say.
    """

    pixels: Pixels
    original_size: tuple[int, int]
    notes: tuple[str, ...] = ()
    taken_at: str | None = None
    structure: JpegStructure | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How large the pixels should be: see `decode_photo`."""

    longer_side_px: int | None = None
    least_side_px: int | None = None

    def floor(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) that decoding must not fall below; zeros ask for all there is."""
        if self.longer_side_px:
            return _fitted(size, self.longer_side_px)
        return (self.least_side_px or 0, self.least_side_px or 0)


def decode_photo(
    source: Path | bytes,
    *,
    longer_side_px: int | None = None,
    least_side_px: int | None = None,
    suspicious: bool = False,
) -> Photo:
    """Decode a photo to upright RGB.

    Args:
        source: a file, here or in a store, or the bytes of one.
        longer_side_px: shrink so that the longer side is at most this; never enlarges, never distorts.
        least_side_px: a JPEG may come as small as half, a quarter or an eighth while both sides keep at least this;
            inverse transforms of fewer coefficients (libjpeg-turbo's scaling) cost a fraction of the full ones.
        suspicious: also look for damage that the decoder read in silence (`damage.has_step`); what looks like it has
            the note "suspected-damage". It costs a fifth to a third of decoding a photo of 256×256, 40 to 80 µs.

    Raises:
        PhotoError: the file is damaged, too large or no photo; `reason` says which.
        DataError: the store doesn't answer.
    """
    wanted = _Wanted(longer_side_px, least_side_px)
    if isinstance(source, bytes):
        return _decode(source, "", wanted, suspicious=suspicious)
    data = _read(source)
    photo = _decode(data, source.name, wanted, suspicious=suspicious)
    if has_wrong_suffix(source.name, data):
        return replace(photo, notes=tuple(sorted({*photo.notes, "extension-mismatch"})))
    return photo


def shrink(pixels: Pixels, longer_side_px: int) -> Pixels:
    """Return the photo with its longer side at most `longer_side_px`, by area averaging; never enlarged."""
    height, width = pixels.shape[:2]
    size = _fitted((width, height), longer_side_px)
    if size == (width, height):
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def encode_jpeg(pixels: Pixels, quality: int = JPEG_QUALITY) -> bytes:
    """Encode (H, W, 3) RGB as JPEG with full colour resolution and no EXIF: the place of a field stays private."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "444"))


def _read(path: Path) -> bytes:
    try:
        size = status_of(path).size
        if size > MAX_BYTES:
            raise PhotoError("too-many-bytes", f"{size} > {MAX_BYTES}", path.name)
        return read_stored(path)
    except OSError as error:
        raise PhotoError("unreadable", error.strerror or type(error).__name__, path.name) from error


def _decode(data: bytes, name: str, wanted: _Wanted, *, suspicious: bool) -> Photo:
    if len(data) > MAX_BYTES:
        raise PhotoError("too-many-bytes", f"{len(data)} > {MAX_BYTES}", name)
    kind = sniff_format(data)
    if kind is None:
        raise PhotoError(why_no_image(data), "", name)
    if kind == "jpeg":
        return _decode_jpeg(data, name, wanted, suspicious=suspicious)
    return _decode_other(data, kind, name, wanted.longer_side_px)


# ---- JPEG -----------------------------------------------------------------------------------------------------------


def _decode_jpeg(data: bytes, name: str, wanted: _Wanted, *, suspicious: bool) -> Photo:
    structure = read_structure(data)
    notes: set[str] = set()
    cut_off = structure.end is None and not data.rstrip(b"\x00").endswith(_END_MARKER)
    if cut_off:
        data += _END_MARKER  # strict decoding then accepts the file only when the marker is all that is missing
        notes.add("end-marker-repaired")
    elif structure.end is not None and data[structure.end :].strip(b"\x00\xff\r\n\t "):
        notes.add("trailing-data")
    if not structure.scans_complete:
        raise PhotoError("truncated" if cut_off else "corrupt", "scans are missing", name)
    if damage := find_damage(data, structure):
        raise PhotoError("corrupt", damage, name)
    try:
        height, width, colour, subsampling = simplejpeg.decode_jpeg_header(data)
        check_size((width, height), name)
        cmyk = colour in ("CMYK", "YCCK")
        stored = _decode_strictly(data, "CMYK" if cmyk else "RGB", wanted.floor((width, height)))
    except ValueError as error:
        raise PhotoError("truncated" if cut_off else "corrupt", str(error), name) from error
    if suspicious and not cmyk and has_step(stored, subsampling, stored.shape[0] / height):
        notes.add("suspected-damage")
    pixels = _cmyk_to_rgb(stored, structure, notes) if cmyk else stored
    if wanted.longer_side_px is not None:
        pixels = shrink(pixels, wanted.longer_side_px)
    if structure.icc_profile and not cmyk:
        pixels = to_srgb(pixels, structure.icc_profile, notes)
    return _photo(pixels, (width, height), structure.exif, notes, structure)


def _decode_strictly(data: bytes, space: str, floor: tuple[int, int]) -> Pixels:
    """Return the pixels as stored, scaled while decoding when (width, height) is enough."""
    # scales between 1/2 and 1 have no fast path in libjpeg-turbo: decoding whole takes half as long
    return np.asarray(
        simplejpeg.decode_jpeg(data, space, min_height=floor[1], min_width=floor[0], min_factor=2.0), dtype=np.uint8
    )


def _cmyk_to_rgb(ink: Pixels, structure: JpegStructure, notes: set[str]) -> Pixels:
    notes.add("cmyk")
    image = Image.fromarray(255 - ink if structure.inverted_cmyk else ink, "CMYK")
    return image_to_srgb(image, structure.icc_profile, notes)


# ---- shared ---------------------------------------------------------------------------------------------------------


def _decode_other(data: bytes, kind: str, name: str, longer_side_px: int | None) -> Photo:
    notes: set[str] = set()
    pixels, exif = decode_with_pillow(data, kind, name, notes)
    stored_size = (pixels.shape[1], pixels.shape[0])
    if longer_side_px is not None:
        pixels = shrink(pixels, longer_side_px)
    return _photo(pixels, stored_size, exif, notes)


def _photo(
    pixels: Pixels,
    stored_size: tuple[int, int],
    exif: ExifFacts,
    notes: set[str],
    structure: JpegStructure | None = None,
) -> Photo:
    size = stored_size[::-1] if exif.orientation >= 5 else stored_size
    return Photo(_upright(pixels, exif.orientation), size, tuple(sorted(notes)), exif.taken_at, structure)


def _fitted(size: tuple[int, int], longer_side_px: int) -> tuple[int, int]:
    scale = longer_side_px / max(size)
    return size if scale >= 1 else (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo the EXIF orientation: 2-4 mirror and turn in place, 5-8 also swap the sides."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
