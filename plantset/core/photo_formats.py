"""What kind of file the first bytes show, whatever its name says."""

from __future__ import annotations

import struct
from pathlib import PurePath

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
    suffix = PurePath(name).suffix.lower()
    if found is None or suffix in _SUFFIXES[found]:
        return False
    return any(suffix in known for known in _SUFFIXES.values())


def why_no_image(data: bytes) -> str:
    """Return the reason code for bytes that `sniff_format` doesn't know."""
    if not data:
        return "empty"
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if data.startswith(b"version https://git-lfs.github.com/"):
        return "git-lfs-pointer"
    return "html-page" if start.startswith((b"<!doctype html", b"<html", b"<head")) else "not-an-image"
