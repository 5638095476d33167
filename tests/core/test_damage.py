"""Damage that decodes without a word is found; whole photos are left alone."""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from plantset.core.damage import find_damage, has_step
from plantset.core.jpeg import read_structure
from plantset.core.photo import PhotoError, decode_photo

ENOUGH_S = 120  # for some hundred files of a few kB: only a decoder that hangs needs it
Options = dict[str, object]


def leaf(width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    rng = np.random.default_rng(5)
    patches = rng.integers(20, 236, (7, 7, 3), dtype=np.uint8)
    pixels = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(pixels + rng.integers(-12, 13, pixels.shape), 0, 255).astype(np.uint8)


def saved(pixels: NDArray[np.uint8], file_format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def zeroed(data: bytes, place: int, length: int) -> bytes:
    return data[:place] + bytes(length) + data[place + length :]


@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"restart_marker_rows": 1}], ids=["plain", "own", "restart"]
)
@pytest.mark.parametrize("length", [32, 64, 512])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_run_of_zeros_in_the_picture_data_is_damage(options: Options, length: int, part: float) -> None:
    data = saved(leaf(), quality=90, **options)
    (scan,) = read_structure(data).scans
    place = scan.start + int(part * (scan.stop - scan.start - length))

    with pytest.raises(PhotoError) as refused:
        decode_photo(zeroed(data, place, length))

    assert refused.value.reason == "corrupt"


def test_zeros_that_the_strict_decoder_reads_are_found() -> None:
    data = saved(leaf(), quality=90)
    (scan,) = read_structure(data).scans
    places = range(scan.start + 100, scan.stop - 200, 997)
    silent = [damaged for place in places if decodes_strictly(damaged := zeroed(data, place, 64))]
    assert len(silent) > 3

    found = [find_damage(damaged, read_structure(damaged)) for damaged in silent]

    assert all(detail is not None and detail.startswith("a run of zeros") for detail in found)


def decodes_strictly(data: bytes) -> bool:
    try:
        simplejpeg.decode_jpeg(data)
    except ValueError:
        return False
    return True


def test_the_luminance_pass_of_a_progressive_photo_is_searched() -> None:
    data = saved(leaf(), quality=90, progressive=True)
    scans = read_structure(data).scans
    longest = max((scan for scan in scans if not scan.zeros_are_flat), key=lambda scan: scan.stop - scan.start)
    damaged = zeroed(data, (longest.start + longest.stop) // 2, 64)

    assert find_damage(damaged, read_structure(damaged)) is not None


@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"progressive": True}], ids=["plain", "own", "progressive"]
)
@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("background", [0, 255])
def test_a_leaf_cut_out_on_one_colour_is_whole(options: Options, quality: int, background: int) -> None:
    pixels = np.full((1200, 1200, 3), background, np.uint8)
    pixels[400:640, 500:820] = leaf()

    data = saved(pixels, quality=quality, **options)

    assert find_damage(data, read_structure(data)) is None


def test_one_colour_is_whole_though_its_bytes_are_zeros() -> None:
    data = saved(np.full((800, 800, 3), 128, np.uint8), quality=75, optimize=True)
    (scan,) = read_structure(data).scans
    assert bytes(64) in data[scan.start : scan.stop]

    assert find_damage(data, read_structure(data)) is None


def test_zeros_in_exif_are_no_damage() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" + "\x00" * 300 + "x"
    data = saved(leaf(), exif=exif)
    assert bytes(64) in data

    assert find_damage(data, read_structure(data)) is None


def test_a_zero_in_a_quantisation_table_is_damage() -> None:
    data = bytearray(saved(leaf()))
    data[data.find(b"\xff\xdb") + 30] = 0

    with pytest.raises(PhotoError, match="quantisation"):
        decode_photo(bytes(data))


def test_the_scan_lies_between_its_header_and_the_end_marker() -> None:
    data = saved(leaf())

    (scan,) = read_structure(data).scans

    assert data[scan.stop :] == b"\xff\xd9"
    assert data[scan.start - 14 : scan.start - 12] == b"\xff\xda"


def test_no_real_photo_is_called_damaged(plantdata_dir: Path) -> None:
    photos = [path.read_bytes() for path in plantdata_dir.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")]
    jpegs = [data for data in photos if data.startswith(b"\xff\xd8\xff")]
    assert len(jpegs) > 5000

    assert [find_damage(data, read_structure(data)) for data in jpegs] == [None] * len(jpegs)


# ---- the step that a changed bit leaves ----------------------------------------------------------------------------


def stepped(pixels: NDArray[np.uint8], unit: int, first: int, levels: int) -> NDArray[np.uint8]:
    """Make all units from number `first` on lighter, in reading order, as a wrong mean does."""
    columns = pixels.shape[1] // unit
    row, column = divmod(first, columns)
    lighter = pixels.astype(np.int16)
    lighter[row * unit : (row + 1) * unit, column * unit :] += levels
    lighter[(row + 1) * unit :] += levels
    return np.clip(lighter, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("subsampling", "unit", "scale"), [("420", 16, 1.0), ("444", 8, 1.0), ("420", 8, 0.5)])
@pytest.mark.parametrize("levels", [25, -25])
def test_a_step_along_the_coding_units_is_suspected(subsampling: str, unit: int, scale: float, levels: int) -> None:
    columns, rows = 320 // unit, 240 // unit
    damaged = stepped(leaf(), unit, first=columns * (rows // 2) + columns // 3, levels=levels)

    assert has_step(damaged, subsampling, scale)


def test_a_step_elsewhere_than_on_the_units_edges_is_part_of_the_picture() -> None:
    damaged = stepped(leaf(), 16, first=20 * 7 + 6, levels=25)

    assert not has_step(np.roll(damaged, 5, axis=0)[16:], "420", 1.0)


def test_an_even_picture_has_no_step() -> None:
    assert not has_step(np.full((240, 320, 3), 90, np.uint8), "420", 1.0)


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15), (50, 50)])
def test_a_picture_too_small_to_tell_has_no_step(size: tuple[int, int]) -> None:
    assert not has_step(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8), "420", 1.0)


def test_a_photo_with_a_wrong_mean_is_decoded_and_marked_where_that_is_asked_for() -> None:
    data = saved(leaf(), quality=90)
    (scan,) = read_structure(data).scans
    flipped = (
        data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        for place in range(scan.start + 2000, scan.stop - 2000, 7)
        for bit in range(8)
    )
    visible = next(
        damaged
        for damaged in flipped
        if decodes_strictly(damaged)
        and np.abs(simplejpeg.decode_jpeg(damaged).astype(int) - simplejpeg.decode_jpeg(data)).mean() > 8
    )

    assert decode_photo(visible).notes == ()
    assert decode_photo(visible, suspicious=True).notes == ("suspected-damage",)


def test_a_whole_photo_is_not_marked() -> None:
    assert decode_photo(saved(leaf(), quality=90), suspicious=True).notes == ()


def test_few_real_photos_are_marked(plantdata_dir: Path) -> None:
    photos = [path.read_bytes() for path in plantdata_dir.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")]

    marked = sum("suspected-damage" in decode_photo(data, suspicious=True).notes for data in photos[::5])

    assert marked <= len(photos[::5]) / 200


# ---- whatever happens to a file: refused or decoded, and soon ------------------------------------------------------


def zero_run(data: bytes, rng: np.random.Generator) -> bytes:
    length = int(rng.choice([16, 64, 512]))
    return zeroed(data, int(rng.integers(max(1, len(data) - length))), length)[: len(data)]


def changed_header(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in rng.integers(min(512, len(data)), size=rng.integers(1, 12)):
        changed[place] = rng.integers(256)
    return bytes(changed)


def random_tail(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(12, len(data)))] + rng.bytes(int(rng.integers(2000)))


def decode_all(file_format: str, options: Options, harm: Callable[[bytes, np.random.Generator], bytes]) -> None:
    """Decode many damaged files; anything but a photo or a `PhotoError` ends the process with an error."""
    rng = np.random.default_rng(11)
    data = saved(leaf(64, 48), file_format, **options)
    for _ in range(200):
        try:
            assert decode_photo(harm(data, rng), longer_side_px=40).pixels.shape[2] == 3
        except PhotoError:
            continue


@pytest.mark.parametrize("harm", [zero_run, changed_header, random_tail])
@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("GIF", {}),
    ],
    ids=["jpeg", "progressive", "png", "webp", "webp-lossless", "tiff", "gif"],
)
def test_no_damage_crashes_or_hangs_a_decoder(
    file_format: str, options: Options, harm: Callable[[bytes, np.random.Generator], bytes]
) -> None:
    process = multiprocessing.get_context("spawn").Process(target=decode_all, args=(file_format, options, harm))

    process.start()
    process.join(ENOUGH_S)
    hangs = process.is_alive()
    process.kill()
    process.join()

    assert not hangs
    assert process.exitcode == 0
