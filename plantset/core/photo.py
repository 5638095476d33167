"""One way to turn a file into upright 8-bit sRGB pixels, for every stage.

JPEG is decoded by libjpeg-turbo in strict mode (simplejpeg): it refuses every truncation and more damage than
Pillow, OpenCV or libvips notice, and a refused file is never tried again with a more lenient decoder. All other
formats go to the one Pillow plugin that their first bytes name.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from plantset.core.damage import find_damage
from plantset.core.errors import DataError
from plantset.core.exif import DATE_TIME_ORIGINAL, EXIF_IFD, ORIENTATION, ExifFacts, iso_time
from plantset.core.jpeg import JpegStructure, read_structure
from plantset.core.language import tr

MAX_BYTES = 256 << 20
MAX_PIXELS = 120_000_000  # a 108-megapixel phone photo passes; decoded it needs 360 MB
JPEG_QUALITY = 92

Pixels = NDArray[np.uint8]

_END_MARKER = b"\xff\xd9"
_SUFFIXES = {
    "jpeg": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "png": {".png", ".apng"},
    "webp": {".webp"},
    "gif": {".gif"},
    "bmp": {".bmp", ".dib"},
    "tiff": {".tif", ".tiff"},
    "avif": {".avif", ".avifs"},
    "heic": {".heic", ".heif", ".hif"},
}
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


@dataclass(frozen=True, slots=True)
class Photo:
    """One decoded photo.

    Attributes:
        pixels: (H, W, 3) uint8 RGB in sRGB, C-contiguous, upright (EXIF orientation applied).
        original_size: (width, height) in pixels, upright, before any shrinking.
        notes: what was unusual and was dealt with, sorted: "cmyk", "end-marker-repaired", "extension-mismatch",
            "icc", "icc-unreadable", "sixteen-bit", "trailing-data", "transparency".
        taken_at: the camera's own time, ISO 8601 without a zone, None when EXIF doesn't say. It stays in memory unless
            the caller writes it.
    """

    pixels: Pixels
    original_size: tuple[int, int]
    notes: tuple[str, ...] = ()
    taken_at: str | None = None


class PhotoError(DataError):
    """A file that is no usable photo.

    Attributes:
        reason: stable code: "empty", "html-page", "git-lfs-pointer", "not-an-image", "unsupported-format",
            "truncated", "corrupt", "too-many-bytes", "too-many-pixels" or "unreadable".
        detail: technical, English; what the decoder said.
    """

    def __init__(self, reason: str, detail: str = "", name: str = "") -> None:
        what = _explain(reason) + (f" ({detail})" if detail else "")
        super().__init__(
            f"{name}: {what}" if name else what,
            tr(
                "replace the file by a good copy, or remove it",
                "remplacez le fichier par une bonne copie, ou retirez-le",
            ),
        )
        self.args = (reason, detail, name)  # so that the error survives pickling between processes
        self.reason = reason
        self.detail = detail


def decode_photo(source: Path | bytes, *, longer_side_px: int | None = None) -> Photo:
    """Decode a photo to upright RGB.

    Args:
        source: a file, or the bytes of one.
        longer_side_px: shrink so that the longer side is at most this; never enlarges, never distorts.

    Raises:
        PhotoError: the file is damaged, too large or no photo; `reason` says which.
    """
    if isinstance(source, bytes):
        return _decode(source, "", longer_side_px, ())
    data = _read(source)
    mismatch = ("extension-mismatch",) if has_wrong_suffix(source.name, data) else ()
    return _decode(data, source.name, longer_side_px, mismatch)


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


def sniff_format(data: bytes) -> str | None:
    """Return the format that the first bytes show ("jpeg", "png", …), None when they are of no known picture."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"BM") and data[14:18] in {struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124)}:
        return "bmp"
    if data.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "tiff"
    if data[4:8] == b"ftyp":
        brands = data[8 : max(16, min(int.from_bytes(data[:4], "big"), 256))]
        if b"avif" in brands or b"avis" in brands:
            return "avif"
        return "heic" if any(brand in brands for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")) else None
    return None


def has_wrong_suffix(name: str, data: bytes) -> bool:
    """Return whether the name's suffix is that of another picture format than the content's."""
    found = sniff_format(data)
    suffix = Path(name).suffix.lower()
    return found is not None and any(suffix in known for known in _SUFFIXES.values()) and suffix not in _SUFFIXES[found]


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PhotoError("too-many-bytes", f"{path.stat().st_size} > {MAX_BYTES}", path.name)
        return path.read_bytes()
    except OSError as error:
        raise PhotoError("unreadable", error.strerror or type(error).__name__, path.name) from error


def _decode(data: bytes, name: str, longer_side_px: int | None, notes: tuple[str, ...]) -> Photo:
    if len(data) > MAX_BYTES:
        raise PhotoError("too-many-bytes", f"{len(data)} > {MAX_BYTES}", name)
    kind = sniff_format(data)
    if kind is None:
        raise PhotoError(_why_no_image(data), "", name)
    if kind == "heic":
        raise PhotoError("unsupported-format", "HEIC", name)
    if kind == "avif" and not features.check("avif"):
        raise PhotoError("unsupported-format", "AVIF: this Pillow was built without it", name)
    photo = (
        _decode_jpeg(data, name, longer_side_px)
        if kind == "jpeg"
        else _decode_with_pillow(data, kind, name, longer_side_px)
    )
    return replace(photo, notes=tuple(sorted({*photo.notes, *notes})))


def _why_no_image(data: bytes) -> str:
    if not data:
        return "empty"
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if data.startswith(b"version https://git-lfs.github.com/"):
        return "git-lfs-pointer"
    return "html-page" if start.startswith((b"<!doctype html", b"<html", b"<head")) else "not-an-image"


# ---- JPEG -----------------------------------------------------------------------------------------------------------


def _decode_jpeg(data: bytes, name: str, longer_side_px: int | None) -> Photo:
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
        pixels, stored_size = _decode_strictly(data, structure, name, longer_side_px, notes)
    except ValueError as error:
        raise PhotoError("truncated" if cut_off else "corrupt", str(error), name) from error
    if longer_side_px is not None:
        pixels = shrink(pixels, longer_side_px)
    if structure.icc_profile and "cmyk" not in notes:
        pixels = _to_srgb(pixels, structure.icc_profile, notes)
    return _photo(pixels, stored_size, structure.exif, notes)


def _decode_strictly(
    data: bytes, structure: JpegStructure, name: str, longer_side_px: int | None, notes: set[str]
) -> tuple[Pixels, tuple[int, int]]:
    """Return the RGB pixels, scaled while decoding when that is enough, and the stored (width, height)."""
    height, width, colour, _ = simplejpeg.decode_jpeg_header(data)
    _check_pixels((width, height), name)
    wanted = _fitted((width, height), longer_side_px) if longer_side_px else (0, 0)
    cmyk = colour in ("CMYK", "YCCK")
    # scales between 1/2 and 1 have no fast path in libjpeg-turbo: decoding whole takes half as long
    pixels = simplejpeg.decode_jpeg(
        data, "CMYK" if cmyk else "RGB", min_height=wanted[1], min_width=wanted[0], min_factor=2.0
    )
    return _cmyk_to_rgb(pixels, structure, notes) if cmyk else pixels, (width, height)


def _cmyk_to_rgb(ink: Pixels, structure: JpegStructure, notes: set[str]) -> Pixels:
    notes.add("cmyk")
    image = Image.fromarray(255 - ink if structure.inverted_cmyk else ink, "CMYK")
    return _image_to_srgb(image, structure.icc_profile, notes)


# ---- the other formats ----------------------------------------------------------------------------------------------


def _decode_with_pillow(data: bytes, kind: str, name: str, longer_side_px: int | None) -> Photo:
    if kind == "png":
        _check_png(data, name)
    if kind == "webp" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise PhotoError("truncated", "the RIFF length goes beyond the end of the file", name)
    notes: set[str] = set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of senseless EXIF in photos that are otherwise whole
            image = _PLUGINS[kind](BytesIO(data))
            _check_pixels(image.size, name)
            image.load()
            pixels = _to_rgb(image, name, notes)
            exif = _pillow_exif(image)
    except Image.DecompressionBombError as error:
        raise PhotoError("too-many-pixels", str(error).split(",")[0], name) from error
    except _PILLOW_DAMAGE as error:
        reason = "truncated" if "truncated" in str(error) else "corrupt"
        raise PhotoError(reason, str(error).split("\n")[0][:200], name) from error
    stored_size = (pixels.shape[1], pixels.shape[0])
    if longer_side_px is not None:
        pixels = shrink(pixels, longer_side_px)
    return _photo(pixels, stored_size, exif, notes)


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
        return _image_to_srgb(image, profile, notes)
    if image.has_transparency_data:
        notes.add("transparency")
        rgba = image.convert("RGBA")
        opaque = Image.new("RGBA", rgba.size, "white")
        opaque.alpha_composite(rgba)
        image = opaque
    pixels = np.array(image.convert("RGB"), dtype=np.uint8)
    return _to_srgb(pixels, profile, notes) if profile else pixels


# ---- shared ---------------------------------------------------------------------------------------------------------


def _photo(pixels: Pixels, stored_size: tuple[int, int], exif: ExifFacts, notes: set[str]) -> Photo:
    size = stored_size[::-1] if exif.orientation >= 5 else stored_size
    return Photo(_upright(pixels, exif.orientation), size, tuple(notes), exif.taken_at)


def _check_pixels(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise PhotoError("too-many-pixels", f"{width}x{height} > {MAX_PIXELS}", name)


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


def _to_srgb(pixels: Pixels, profile: bytes, notes: set[str]) -> Pixels:
    return _image_to_srgb(Image.fromarray(pixels, "RGB"), profile, notes)


def _image_to_srgb(image: Any, profile: bytes | None, notes: set[str]) -> Pixels:
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


def _explain(reason: str) -> str:
    texts = {
        "empty": ("the file is empty", "le fichier est vide"),
        "html-page": ("a web page, not a photo", "une page web, pas une photo"),
        "git-lfs-pointer": ("a Git LFS pointer, not the photo itself", "un pointeur Git LFS, pas la photo elle-même"),
        "not-an-image": ("not an image", "ce n'est pas une image"),
        "unsupported-format": ("a format that cannot be read here", "un format qui ne peut pas être lu ici"),
        "truncated": ("the file stops before its end", "le fichier s'arrête avant sa fin"),
        "corrupt": ("the picture data are damaged", "les données de l'image sont abîmées"),
        "too-many-bytes": ("the file is too large", "le fichier est trop gros"),
        "too-many-pixels": ("the picture has too many pixels", "l'image a trop de pixels"),
        "unreadable": ("the file cannot be read", "le fichier ne peut pas être lu"),
    }
    return tr(*texts[reason])
