"""Orientation and capture time, and nothing else, from EXIF."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plantset.core.exif import ExifFacts, iso_time, read_exif
from plantset.core.photo import decode_photo

TAKEN = "2024:05:03 14:05:09"


def exif_block(order: str = "<", taken: bytes = b"2024:05:03 14:05:09\x00", orientation: int = 6) -> bytes:
    """Lay out by hand, after the EXIF 2.32 tables: IFD0 at 8 (two entries), the EXIF IFD at 38, the text at 56."""
    head = {"<": b"II*\x00", ">": b"MM\x00*"}[order] + struct.pack(f"{order}I", 8)
    ifd0 = struct.pack(f"{order}H", 2)
    ifd0 += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    ifd0 += struct.pack(f"{order}HHII", 0x8769, 4, 1, 38)
    ifd0 += bytes(4)
    exif = struct.pack(f"{order}H", 1) + struct.pack(f"{order}HHII", 0x9003, 2, len(taken), 56) + bytes(4)
    return head + ifd0 + exif + taken


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_and_time_are_read_in_both_byte_orders(order: str) -> None:
    assert read_exif(exif_block(order)) == ExifFacts(6, "2024-05-03T14:05:09")


@pytest.mark.parametrize(
    "tiff", [b"", b"II*\x00", b"XX*\x00\x08\x00\x00\x00", b"II*\x00\xff\xff\xff\x7f", b"MM\x00*" * 9]
)
def test_a_senseless_block_says_nothing(tiff: bytes) -> None:
    assert read_exif(tiff) == ExifFacts(1, None)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_out_of_range_means_upright(orientation: int) -> None:
    assert read_exif(exif_block(orientation=orientation)).orientation == 1


@pytest.mark.parametrize(
    "unset", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2024:13:01 00:00:00", "2024:02:30 10:00:00", "", "2024"]
)
def test_a_clock_that_was_never_set_gives_no_time(unset: str) -> None:
    assert iso_time(unset) is None


@given(st.binary(max_size=200), st.sampled_from([b"II*\x00\x08\x00\x00\x00", b"MM\x00*\x00\x00\x00\x08"]))
def test_no_bytes_make_it_raise(tail: bytes, head: bytes) -> None:
    assert 1 <= read_exif(head + tail).orientation <= 8


@given(st.integers(0, 75), st.integers(0, 255))
def test_no_changed_byte_of_a_good_block_makes_it_raise(place: int, value: int) -> None:
    block = bytearray(exif_block())
    block[place] = value

    assert 1 <= read_exif(bytes(block)).orientation <= 8


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_photo_of_any_format_says_when_it_was_taken(file_format: str) -> None:
    exif = Image.Exif()
    exif[0x0110] = "a phone"
    exif.get_ifd(0x8769)[0x9003] = TAKEN
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "green").save(buffer, file_format, exif=exif)

    assert decode_photo(buffer.getvalue()).taken_at == "2024-05-03T14:05:09"


def test_the_time_of_the_last_edit_is_not_the_time_of_capture() -> None:
    exif = Image.Exif()
    exif[0x0132] = TAKEN
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "green").save(buffer, "JPEG", exif=exif)

    assert decode_photo(buffer.getvalue()).taken_at is None
