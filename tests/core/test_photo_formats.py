"""Colours, sizes and orientations that are known from outside: from standards, by hand, or by another program."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from plantset.core.photo import PhotoError, decode_photo

HEIC = Path(__file__).parent / "assets" / "quadrants_turned.heic"  # drawn in code, 64×48, turned by its `irot` box


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def refusal(data: bytes) -> PhotoError:
    with pytest.raises(PhotoError) as refused:
        decode_photo(data)
    return refused.value


# ---- orientation: the eight cases of the EXIF standard, on six pixels ----------------------------------------------

UPRIGHT = {
    1: [[0, 1, 2], [3, 4, 5]],
    2: [[2, 1, 0], [5, 4, 3]],
    3: [[5, 4, 3], [2, 1, 0]],
    4: [[3, 4, 5], [0, 1, 2]],
    5: [[0, 3], [1, 4], [2, 5]],
    6: [[3, 0], [4, 1], [5, 2]],
    7: [[5, 2], [4, 1], [3, 0]],
    8: [[2, 5], [1, 4], [0, 3]],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_each_orientation_gives_the_order_of_the_standard(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.array(UPRIGHT[1], np.uint8) * 40

    found = decode_photo(saved(Image.fromarray(stored), "PNG", exif=exif)).pixels[..., 0]

    assert (found // 40).tolist() == UPRIGHT[orientation]


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_jpeg_turns_as_the_standard_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.kron(np.array(UPRIGHT[1], np.uint8) * 40 + 20, np.ones((16, 16), np.uint8))

    found = decode_photo(saved(Image.fromarray(stored), "JPEG", quality=95, exif=exif)).pixels[8::16, 8::16, 0]

    assert (found // 40).tolist() == UPRIGHT[orientation]


def test_the_rotation_box_of_an_avif_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :32] = 255

    found = decode_photo(saved(Image.fromarray(picture), "AVIF", quality=90, exif=exif)).pixels

    assert found.shape == (64, 32, 3)
    assert found[4, 16, 0] > 200 > 50 > found[-4, 16, 0]


# ---- inks ----------------------------------------------------------------------------------------------------------

INKS = {  # ink in percent of 255, and what is left of white light: 255 * (1 - ink) * (1 - black)
    "none": ((0, 0, 0, 0), (255, 255, 255)),
    "cyan": ((255, 0, 0, 0), (0, 255, 255)),
    "red": ((0, 255, 255, 0), (255, 0, 0)),
    "black": ((0, 0, 0, 255), (0, 0, 0)),
    "half": ((51, 102, 0, 51), (163, 122, 204)),
}


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("file_format", ["TIFF", "JPEG"])
def test_inks_become_the_light_they_leave(ink: str, file_format: str) -> None:
    inks, light = INKS[ink]
    data = saved(Image.new("CMYK", (16, 16), inks), file_format, **({"quality": 100} if file_format == "JPEG" else {}))

    found = decode_photo(data)

    assert np.abs(found.pixels[8, 8].astype(int) - light).max() <= 2
    assert found.notes == ("cmyk",)


@pytest.mark.parametrize(
    ("brightness_and_colour", "black", "light"),
    [
        ((179, 171, 1), 0, (255, 0, 0)),  # inks 0, 255, 255: as stored by Adobe 255, 0, 0; as light 0, 255, 255
        ((0, 128, 128), 0, (255, 255, 255)),
        ((255, 128, 128), 0, (0, 0, 0)),
        ((0, 128, 128), 128, (127, 127, 127)),
    ],
)
def test_ycck_is_read_by_the_equations_of_jfif(
    brightness_and_colour: tuple[int, int, int], black: int, light: tuple[int, int, int]
) -> None:
    stored = (*(255 - value for value in brightness_and_colour), black)  # Pillow turns each value round when it saves
    data = bytearray(saved(Image.new("CMYK", (16, 16), stored), "JPEG", quality=100))
    data[data.find(b"Adobe") + 11] = 2  # the transform of Adobe's marker: YCCK

    found = decode_photo(bytes(data)).pixels[8, 8]

    assert np.abs(found.astype(int) - light).max() <= 3


# ---- depth and transparency ----------------------------------------------------------------------------------------


def test_sixteen_bit_colours_keep_their_high_byte() -> None:
    eight_bit = np.arange(48, dtype=np.uint16).reshape(4, 4, 3) * 5
    _, data = cv2.imencode(".png", eight_bit[..., ::-1] * 257)

    assert np.array_equal(decode_photo(data.tobytes()).pixels, eight_bit)


def test_sixteen_bit_grey_between_two_levels_goes_to_the_nearer() -> None:
    values = np.array([[0, 100, 200, 257 * 7 + 128, 257 * 7 + 129, 65535]], np.uint16)

    assert decode_photo(saved(Image.fromarray(values), "PNG")).pixels[0, :, 0].tolist() == [0, 0, 1, 7, 8, 255]


@pytest.mark.parametrize(("alpha", "red"), [(0, 255), (51, 204), (128, 127), (204, 51), (255, 0)])
def test_transparency_mixes_with_white_by_its_share(alpha: int, red: int) -> None:
    data = saved(Image.new("RGBA", (8, 8), (0, 0, 0, alpha)), "PNG")

    assert abs(int(decode_photo(data).pixels[4, 4, 0]) - red) <= 1


def test_each_colour_of_a_palette_has_its_own_transparency() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])

    found = decode_photo(saved(image, "PNG", transparency=bytes([0, 51, 255]))).pixels[0]

    assert np.abs(found.astype(int) - [[255, 255, 255], [204, 244, 204], [0, 0, 200]]).max() <= 1


# ---- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "reason"), [(1000, None), (1001, "extreme-shape")])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_a_strip_longer_than_fifty_times_its_width_is_refused(width: int, reason: str | None, file_format: str) -> None:
    data = saved(Image.new("RGB", (width, 20)), file_format)

    try:
        found = None if decode_photo(data).original_size == (width, 20) else "another size"
    except PhotoError as error:
        found = error.reason

    assert found == reason


def bomb(file_format: str) -> bytes:
    """A few hundred bytes that say 60,000×60,000 pixels: 10.8 GB decoded."""
    if file_format == "PNG":
        chunks = (b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0), b"IDAT\x00", b"IEND")
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
        )
    data = bytearray(saved(Image.new("RGB", (16, 16)), file_format))
    if file_format == "JPEG":
        place = data.find(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", 60_000, 60_000)
    elif file_format == "GIF":
        data[6:10] = struct.pack("<HH", 60_000, 60_000)
    else:
        data[18:26] = struct.pack("<ii", 60_000, 60_000)
    return bytes(data)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP"])
def test_a_bomb_is_refused_by_its_header(file_format: str) -> None:
    assert refusal(bomb(file_format)).reason == "too-many-pixels"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="here the rights of a file stop nobody")
def test_a_file_without_the_right_to_read_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "leaf.jpg"
    path.write_bytes(saved(Image.new("RGB", (16, 16)), "JPEG"))
    path.chmod(0)

    with pytest.raises(PhotoError) as refused:
        decode_photo(path)

    assert refused.value.reason == "unreadable"


def test_a_folder_is_unreadable_as_a_photo(tmp_path: Path) -> None:
    with pytest.raises(PhotoError) as refused:
        decode_photo(tmp_path)

    assert refused.value.reason == "unreadable"


# ---- every format: cut anywhere, it is refused ---------------------------------------------------------------------

OTHER_FORMATS = {
    "gif": ("GIF", {}),
    "tiff": ("TIFF", {}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "bmp": ("BMP", {}),
    "avif": ("AVIF", {}),
    "webp-lossless": ("WEBP", {"lossless": True}),
}


@pytest.mark.parametrize("case", OTHER_FORMATS)
@pytest.mark.parametrize("step", range(1, 64))
def test_a_file_of_any_format_cut_anywhere_is_refused(case: str, step: int) -> None:
    file_format, options = OTHER_FORMATS[case]
    patches = np.random.default_rng(3).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    data = saved(Image.fromarray(cv2.resize(patches, (96, 64))), file_format, **options)

    assert refusal(data[: len(data) * step // 64]).reason in {"truncated", "corrupt", "not-an-image"}


# ---- HEIC ----------------------------------------------------------------------------------------------------------


def test_a_heic_photo_is_upright_and_has_its_colours() -> None:
    pytest.importorskip("pi_heif")

    found = decode_photo(HEIC)

    assert found.original_size == (48, 64)
    corners = [found.pixels[y, x].tolist() for y, x in ((5, 5), (5, -5), (-5, 5), (-5, -5))]
    blue, red, yellow, green = (30, 40, 200), (200, 30, 30), (220, 220, 60), (30, 180, 40)
    assert np.abs(np.subtract(corners, (blue, red, yellow, green))).max() <= 4


@pytest.mark.parametrize("step", range(1, 64))
def test_a_cut_heic_photo_is_refused(step: int) -> None:
    pytest.importorskip("pi_heif")
    data = HEIC.read_bytes()

    assert refusal(data[: len(data) * step // 64]).reason in {"truncated", "corrupt", "not-an-image"}


def test_without_its_library_heic_is_refused_and_the_library_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)

    error = refusal(HEIC.read_bytes())

    assert (error.reason, error.detail) == ("unsupported-format", "HEIC: pip install pi-heif")
