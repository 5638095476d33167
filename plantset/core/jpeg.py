"""What a JPEG file says of itself, read from its markers without decoding a pixel.

The decoder (`core.photo`) needs facts that libjpeg-turbo doesn't give: how to turn the photo upright, which colours
its numbers mean, whether every scan has arrived, where the picture ends, and when it was taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from plantset.core.exif import ExifFacts, read_exif

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # inside a scan FF 00 is data and FF D0-D7 are restart marks
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_EOI, _SOS, _APP1, _APP2, _APP14 = 0xD9, 0xDA, 0xE1, 0xE2, 0xEE
_EXIF_HEADER, _ICC_HEADER = b"Exif\x00\x00", b"ICC_PROFILE\x00"
_COEFFICIENTS = 64


@dataclass(frozen=True, slots=True)
class JpegStructure:
    """The facts of one JPEG.

    Attributes:
        exif: orientation and capture time.
        icc_profile: the embedded colour profile, or None.
        inverted_cmyk: Adobe's marker is present: 255 means no ink.
        scans_complete: every coefficient of every component has been sent at full precision. False for a progressive
            file that lost its last scans: it decodes without a word, blurred or grey.
        end: offset just after the end marker, None when there is none.
    """

    exif: ExifFacts
    icc_profile: bytes | None
    inverted_cmyk: bool
    scans_complete: bool
    end: int | None


@dataclass(slots=True)
class _Facts:
    exif: ExifFacts = field(default_factory=ExifFacts)
    icc_chunks: dict[int, bytes] = field(default_factory=dict)
    inverted_cmyk: bool = False
    progressive: bool = False
    components: tuple[int, ...] = ()
    precision_left: dict[int, list[int]] = field(default_factory=dict)


def read_structure(data: bytes) -> JpegStructure:
    """Walk the markers of the first picture in `data`; never raises, whatever the bytes."""
    facts = _Facts()
    position, end = 2, None
    while found := _MARKER.search(data, position):
        marker, position = data[found.end() - 1], found.end()
        if marker == _EOI:
            end = position
            break
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2 or position + length > len(data):
            break
        _read_segment(facts, marker, data[position + 2 : position + length])
        position += length
    icc = b"".join(facts.icc_chunks[number] for number in sorted(facts.icc_chunks))
    return JpegStructure(facts.exif, icc or None, facts.inverted_cmyk, _is_complete(facts), end)


def _read_segment(facts: _Facts, marker: int, body: bytes) -> None:
    if marker in _FRAMES and len(body) >= 6:
        facts.progressive = marker in (0xC2, 0xCA)
        facts.components = tuple(body[6 + 3 * index] for index in range(body[5]) if 6 + 3 * index < len(body))
        facts.precision_left = {component: [-1] * _COEFFICIENTS for component in facts.components}
    elif marker == _SOS:
        _read_scan(facts, body)
    elif marker == _APP1 and body.startswith(_EXIF_HEADER):
        facts.exif = read_exif(body[len(_EXIF_HEADER) :])
    elif marker == _APP2 and body.startswith(_ICC_HEADER) and len(body) > len(_ICC_HEADER) + 2:
        facts.icc_chunks[body[len(_ICC_HEADER)]] = body[len(_ICC_HEADER) + 2 :]
    elif marker == _APP14 and body.startswith(b"Adobe"):
        facts.inverted_cmyk = True


def _read_scan(facts: _Facts, body: bytes) -> None:
    """Note, for each component of the scan, how many low bits of its coefficients are still to come."""
    count = body[0] if body else 0
    if len(body) < 4 + 2 * count:
        return
    first, last, approximation = body[1 + 2 * count : 4 + 2 * count]
    low_bits = approximation & 15
    if not facts.progressive:
        first, last, low_bits = 0, _COEFFICIENTS - 1, 0
    for index in range(count):
        sent = facts.precision_left.get(body[1 + 2 * index])
        if sent is not None:
            span = slice(first, min(last, _COEFFICIENTS - 1) + 1)
            sent[span] = [low_bits] * len(sent[span])


def _is_complete(facts: _Facts) -> bool:
    """A baseline component needs one scan; a progressive one all 64 coefficients down to the last bit."""
    return bool(facts.precision_left) and all(set(sent) == {0} for sent in facts.precision_left.values())
