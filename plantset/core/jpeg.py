"""What a JPEG file says of itself, read from its markers without decoding a pixel.

The decoder (`core.photo`) needs facts that libjpeg-turbo doesn't give: how to turn the photo upright, which colours
its numbers mean, whether every scan has arrived, where the picture data lie and end, and when it was taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

from plantset.core.exif import ExifFacts, read_exif

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # inside a scan FF 00 is data and FF D0-D7 are restart marks
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_DHT, _EOI, _SOS, _DQT, _APP1, _APP2, _APP14 = 0xC4, 0xD9, 0xDA, 0xDB, 0xE1, 0xE2, 0xEE
_SOS_BYTE = bytes((_SOS,))
# Headers that come again: those with the standard's own Huffman tables (here the first, T.81 table K.3), and short. A
# file with tables made for it, with EXIF or a preview shares its header with no other.
_STANDARD_TABLE = bytes((0, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))
_REMEMBERED_BYTES = 1024
_HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}
_EXIF_HEADER, _ICC_HEADER = b"Exif\x00\x00", b"ICC_PROFILE\x00"
_COEFFICIENTS = 64
_AC_TABLE = 16  # the bit of a Huffman table's id that says it is for AC coefficients


@dataclass(frozen=True, slots=True)
class Scan:
    """Where one scan's picture data lie.

    Attributes:
        start, stop: offsets of the first byte of picture data and of the marker after them.
        zeros_are_flat: a long run of zero bytes can be an honest flat area, by the Huffman tables in use.
    """

    start: int
    stop: int
    zeros_are_flat: bool


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
        scans: where the picture data lie.
        zero_quantisation: a quantisation table holds a zero, which the standard forbids.
    """

    exif: ExifFacts
    icc_profile: bytes | None
    inverted_cmyk: bool
    scans_complete: bool
    end: int | None
    scans: tuple[Scan, ...] = ()
    zero_quantisation: bool = False


@dataclass(slots=True)
class _Facts:
    exif: ExifFacts = field(default_factory=ExifFacts)
    icc_chunks: dict[int, bytes] = field(default_factory=dict)
    inverted_cmyk: bool = False
    frame: int = 0
    components: tuple[int, ...] = ()
    precision_left: dict[int, list[int]] = field(default_factory=dict)
    zero_symbols: dict[int, int] = field(default_factory=dict)  # Huffman table -> the symbol whose code is all zeros
    scans: list[Scan] = field(default_factory=list)
    open_scan: tuple[int, bool] | None = None
    zero_quantisation: bool = False

    @property
    def progressive(self) -> bool:
        return self.frame in (0xC2, 0xCA)


def read_structure(data: bytes) -> JpegStructure:
    """Walk the markers of the first picture in `data`; never raises, whatever the bytes."""
    header = data[: _first_scan(data)] if data.find(_STANDARD_TABLE, 0, _REMEMBERED_BYTES) >= 0 else b""
    if 0 < len(header) <= _REMEMBERED_BYTES:
        structure = _read_header(header)
        found = _MARKER.search(data, len(header))
        if structure is not None and found is not None and data[found.end() - 1] == _EOI:
            scan = Scan(len(header), found.start(), structure.scans[0].zeros_are_flat)
            return replace(structure, end=found.end(), scans=(scan,))
    return _walk(data)


def _first_scan(data: bytes) -> int:
    """Return where the first scan's data start, 0 where its header can't be reached from segment to segment."""
    position = 2
    while data[position : position + 1] == b"\xff":
        marker, length = data[position + 1 : position + 2], int.from_bytes(data[position + 2 : position + 4], "big")
        position += 2 + length
        if marker == _SOS_BYTE:
            return position
    return 0


@lru_cache(maxsize=64)
def _read_header(header: bytes) -> JpegStructure | None:
    """Read the bytes up to the first scan's data: files of one program and size mostly share them.

    Returns:
        The structure of a file of this one scan, its end not yet known; None when markers lead elsewhere.
    """
    structure = _walk(header)
    ends_at_scan = [scan.start for scan in structure.scans] == [len(header)] and structure.end is None
    return structure if ends_at_scan else None


def _walk(data: bytes) -> JpegStructure:
    facts = _Facts()
    position, end = 2, None
    while found := _MARKER.search(data, position):
        marker, position = data[found.end() - 1], found.end()
        if facts.open_scan is not None:
            _close_scan(facts, found.start())
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
        if marker == _SOS:
            facts.open_scan = (position, _zeros_are_flat(facts, data[position - length + 2 : position]))
    _close_scan(facts, len(data))
    icc = b"".join(facts.icc_chunks[number] for number in sorted(facts.icc_chunks))
    return JpegStructure(
        exif=facts.exif,
        icc_profile=icc or None,
        inverted_cmyk=facts.inverted_cmyk,
        scans_complete=_is_complete(facts),
        end=end,
        scans=tuple(facts.scans),
        zero_quantisation=facts.zero_quantisation,
    )


def _close_scan(facts: _Facts, stop: int) -> None:
    if facts.open_scan is not None:
        start, zeros_are_flat = facts.open_scan
        facts.scans.append(Scan(start, stop, zeros_are_flat))
        facts.open_scan = None


def _read_segment(facts: _Facts, marker: int, body: bytes) -> None:
    if marker in _FRAMES and len(body) >= 6:
        facts.frame = marker
        facts.components = tuple(body[6 + 3 * index] for index in range(body[5]) if 6 + 3 * index < len(body))
        apart = _COEFFICIENTS if facts.progressive else 1  # a baseline scan sends them all at once
        facts.precision_left = {component: [-1] * apart for component in facts.components}
    elif marker == _SOS:
        _read_scan(facts, body)
    elif marker == _DHT:
        _read_huffman_tables(facts, body)
    elif marker == _DQT:
        facts.zero_quantisation |= _has_zero_quantisation(body)
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


def _read_huffman_tables(facts: _Facts, body: bytes) -> None:
    """Note the symbol of each table's all-zero code: canonical codes start there, so it is the first of the list."""
    position = 0
    while position + 17 < len(body):
        count = sum(body[position + 1 : position + 17])
        if count:
            facts.zero_symbols[body[position]] = body[position + 17]
        position += 17 + count


def _zeros_are_flat(facts: _Facts, body: bytes) -> bool:
    """Return whether zero bits, read with this scan's tables, are flat blocks that go on for ever.

    They are where they say "no change of brightness" and "end of block" for every component. With any other table,
    as the standard's own ("one more coefficient of -1"), they are blocks that no camera makes. A progressive file's
    later passes send bits as they are, of which nothing can be said.
    """
    count = body[0] if body else 0
    if len(body) < 4 + 2 * count or facts.frame not in _HUFFMAN_FRAMES:
        return True
    first, last, approximation = body[1 + 2 * count : 4 + 2 * count]
    if facts.progressive and approximation >> 4:
        return True
    tables = [body[2 + 2 * index] for index in range(count)]
    brightness = {facts.zero_symbols.get(table >> 4, 0) for table in tables} if first == 0 else set()
    texture = {facts.zero_symbols.get(_AC_TABLE | table & 15, 0) for table in tables} if last > 0 else set()
    return brightness <= {0} and all(symbol & 15 == 0 and symbol < 0xF0 for symbol in texture)


def _has_zero_quantisation(body: bytes) -> bool:
    position = 0
    while position < len(body) and body[position] < 16:  # the first table of 16 bits ends the search
        if 0 in body[position + 1 : position + 1 + _COEFFICIENTS]:
            return True
        position += 1 + _COEFFICIENTS
    return False


def _is_complete(facts: _Facts) -> bool:
    """A baseline component needs one scan; a progressive one all 64 coefficients down to the last bit."""
    return bool(facts.precision_left) and all(set(sent) == {0} for sent in facts.precision_left.values())
