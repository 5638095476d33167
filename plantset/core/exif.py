"""The two facts that Plantset takes from EXIF: which way is up, and when the photo was taken.

Nothing else is read, least of all the place. What the bytes say is believed only where it makes sense: a camera whose
clock was never set writes zeros.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

ORIENTATION, EXIF_IFD, DATE_TIME_ORIGINAL = 0x0112, 0x8769, 0x9003

_ASCII, _SHORT, _LONG = 2, 3, 4
_ENTRY_BYTES = 12
_DATE_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """What an EXIF block says.

    Attributes:
        orientation: 1..8; 1 when absent or senseless.
        taken_at: DateTimeOriginal as ISO 8601 to the second ("2024-05-03T14:05:09"), by the camera's own clock and
            without a time zone; None when absent or senseless.
    """

    orientation: int = 1
    taken_at: str | None = None


def read_exif(tiff: bytes) -> ExifFacts:
    """Read an EXIF block, from its TIFF header on; never raises, whatever the bytes."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return ExifFacts()
    orientation, taken_at = 1, None
    for tag, kind, value in _entries(tiff, order, struct.unpack(f"{order}I", tiff[4:8])[0]):
        if tag == ORIENTATION and kind == _SHORT:
            orientation = struct.unpack(f"{order}H", value[:2])[0]
        elif tag == EXIF_IFD and kind == _LONG:
            taken_at = _date_time_original(tiff, order, struct.unpack(f"{order}I", value)[0])
    return ExifFacts(orientation if 1 <= orientation <= 8 else 1, taken_at)


def iso_time(exif_time: str) -> str | None:
    """Return `2024:05:03 14:05:09` as ISO 8601, None for what is no moment ("0000:00:00 00:00:00", blanks)."""
    match = _DATE_TIME.fullmatch(exif_time.rstrip("\x00 "))
    if match is None:
        return None
    try:
        return datetime(*map(int, match.groups())).isoformat()  # type: ignore[arg-type] # six numbers, no tzinfo
    except ValueError:
        return None


def _date_time_original(tiff: bytes, order: str, start: int) -> str | None:
    for tag, kind, value in _entries(tiff, order, start):
        if tag == DATE_TIME_ORIGINAL and kind == _ASCII:
            place = struct.unpack(f"{order}I", value)[0]
            return iso_time(tiff[place : place + 20].decode("ascii", "replace"))
    return None


def _entries(tiff: bytes, order: str, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield (tag, type, the four bytes of value or offset) for each entry of the directory at `start`."""
    if len(tiff) < start + 2:
        return
    for index in range(struct.unpack_from(f"{order}H", tiff, start)[0]):
        entry = tiff[start + 2 + _ENTRY_BYTES * index : start + 2 + _ENTRY_BYTES * (index + 1)]
        if len(entry) < _ENTRY_BYTES:
            return
        tag, kind = struct.unpack(f"{order}HH", entry[:4])
        yield tag, kind, entry[8:]
