"""A JPEG without its metadata, its picture data untouched: nothing is lost, and it takes no decoding or encoding."""

from __future__ import annotations

import re
from functools import lru_cache

from plantset.core.exif import read_exif
from plantset.core.jpeg import JpegStructure, read_structure

_SOF0, _DHT, _SOS, _DQT, _DRI = 0xC0, 0xC4, 0xDA, 0xDB, 0xDD
_APP0, _APP1, _APP2, _APP14, _APP15, _COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_EXIF, _ICC, _JFIF, _ADOBE = b"Exif\x00\x00", b"ICC_PROFILE\x00", b"JFIF\x00", b"Adobe"
_PLAIN_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_END_MARKER = b"\xff\xd9"
_FILL_BYTES = re.compile(rb"\xff\xff")
_COLOURS = 3
_YCBCR_IDS = (1, 2, 3)
_YCBCR_TRANSFORM = 1


def strip_metadata(data: bytes, structure: JpegStructure | None = None) -> bytes | None:
    """Return the JPEG with its tables and picture data only, or None when not every reader would see the same in it.

    That is the case for all but baseline files of one scan and three colours (YCbCr): what is progressive, grey or
    CMYK, turned by EXIF, or has a colour profile, must be decoded and encoded anew. EXIF, comments, embedded previews
    and all that follows the end marker are left out.
    """
    structure = structure or read_structure(data)
    if structure.end is None or len(structure.scans) != 1:
        return None
    scan, end = structure.scans[0], structure.end
    if scan.stop + len(_END_MARKER) != end or _FILL_BYTES.search(data, scan.start, end):
        return None
    header = _plain_header(data[: scan.start])
    return None if header is None else header + data[scan.start : end]


@lru_cache(maxsize=64)  # files of one program and size mostly share it
def _plain_header(header: bytes) -> bytes | None:
    """Return the header without metadata; None where those matter, or the file is none of three colours."""
    kept = [b"\xff\xd8", _PLAIN_JFIF]
    has_jfif, position = False, 2
    ids: tuple[int, ...] = ()
    while position + 4 <= len(header) and header[position] == 0xFF:
        marker, start = header[position + 1], position + 4
        stop = position + 2 + int.from_bytes(header[position + 2 : start], "big")
        body = header[start:stop]
        if marker == _SOS:
            is_plain = has_jfif or ids == _YCBCR_IDS
            kept.append(header[position:])
            return b"".join(kept) if is_plain and ids and body[:1] == bytes((_COLOURS,)) else None
        if marker == _SOF0:
            ids = tuple(body[6::3])
        if marker in (_SOF0, _DHT, _DQT, _DRI):
            kept.append(header[position:stop])
        elif not (_APP0 <= marker <= _APP15 or marker == _COM) or _changes_the_picture(marker, body):
            return None
        has_jfif |= marker == _APP0 and body.startswith(_JFIF)
        position = stop
    return None


def _changes_the_picture(marker: int, body: bytes) -> bool:
    """Return whether a reader that honours this segment shows other pixels than one that doesn't."""
    if marker == _APP1 and body.startswith(_EXIF):
        return read_exif(body[len(_EXIF) :]).orientation != 1
    if marker == _APP14 and body.startswith(_ADOBE):
        return body[11:12] != bytes((_YCBCR_TRANSFORM,))
    return marker == _APP2 and body.startswith(_ICC)
