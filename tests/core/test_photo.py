"""Files become upright sRGB pixels, or are refused for the right reason."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from plantset.core import photo as photo_module
from plantset.core.jpeg import read_structure
from plantset.core.photo import PhotoError, decode_photo, encode_jpeg, shrink, sniff_format


def picture(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    patches = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(patches, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def jpeg(**options: object) -> bytes:
    return saved(Image.fromarray(picture()), "JPEG", quality=92, **options)


def reason_of(data: bytes) -> str:
    with pytest.raises(PhotoError) as refused:
        decode_photo(data)
    return refused.value.reason


# ---- JPEG -----------------------------------------------------------------------------------------------------------


def test_a_jpeg_has_the_pixels_that_pillow_sees() -> None:
    data = jpeg()

    found = decode_photo(data).pixels

    assert np.abs(found.astype(int) - np.asarray(Image.open(io.BytesIO(data)))).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_exif_orientation_is_undone_as_pillow_undoes_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))

    found = decode_photo(data)

    assert found.pixels.shape == upright.shape
    assert np.abs(found.pixels.astype(int) - upright).max() <= 1


def test_the_original_size_is_that_of_the_upright_photo_before_shrinking() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    found = decode_photo(jpeg(exif=exif), longer_side_px=48)

    assert found.original_size == (64, 96)
    assert found.pixels.shape == (48, 32, 3)


def test_pixels_are_contiguous_after_turning() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8

    assert decode_photo(jpeg(exif=exif)).pixels.flags.c_contiguous


def test_shrinking_never_enlarges() -> None:
    assert decode_photo(jpeg(), longer_side_px=1000).pixels.shape == (64, 96, 3)


def test_a_large_jpeg_shrinks_to_what_area_averaging_gives() -> None:
    pixels = picture(1600, 1200)
    data = encode_jpeg(pixels, 95)

    found = decode_photo(data, longer_side_px=200).pixels

    assert found.shape == (150, 200, 3)
    assert np.abs(found.astype(int) - shrink(pixels, 200)).mean() < 1.5


def test_a_missing_end_marker_alone_is_repaired_and_noted() -> None:
    data = jpeg()

    found = decode_photo(data[:-2])

    assert found.notes == ("end-marker-repaired",)
    assert np.array_equal(found.pixels, decode_photo(data).pixels)


def test_bytes_after_the_end_marker_are_noted_and_the_photo_kept() -> None:
    data = jpeg()

    found = decode_photo(data + b"appended by a phone" * 3)

    assert found.notes == ("trailing-data",)
    assert np.array_equal(found.pixels, decode_photo(data).pixels)


def test_padding_after_the_end_marker_is_nothing_to_note() -> None:
    assert decode_photo(jpeg() + b"\x00" * 500).notes == ()


@pytest.mark.parametrize("step", range(1, 64))
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=["plain", "progressive", "restart"]
)
def test_a_jpeg_cut_anywhere_is_refused(step: int, options: dict[str, object]) -> None:
    data = jpeg(**options)

    assert reason_of(data[: len(data) * step // 64]) in {"truncated", "corrupt", "not-an-image"}


def test_a_progressive_jpeg_without_its_last_scan_is_refused_though_it_decodes() -> None:
    data = jpeg(progressive=True)
    last_scan = data.rfind(b"\xff\xda")
    stripped = data[:last_scan] + b"\xff\xd9"
    assert simplejpeg.decode_jpeg(stripped).shape == (64, 96, 3)

    assert reason_of(stripped) == "corrupt"


def test_a_whole_progressive_jpeg_is_complete() -> None:
    assert read_structure(jpeg(progressive=True)).scans_complete


def test_a_grey_jpeg_becomes_three_equal_channels() -> None:
    data = saved(Image.fromarray(picture()).convert("L"), "JPEG")

    found = decode_photo(data).pixels

    assert np.array_equal(found[..., 0], found[..., 2])


def test_cmyk_is_read_like_pillow_reads_it() -> None:
    image = Image.fromarray(picture()).convert("CMYK")
    data = saved(image, "JPEG", quality=95)

    found = decode_photo(data)

    assert found.notes == ("cmyk",)
    assert np.abs(found.pixels.astype(int) - np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))).max() <= 2


def test_a_profile_with_other_primaries_is_converted_to_srgb() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    swapped = bytearray(lab.tobytes())
    red, green = swapped.find(b"rXYZ"), swapped.find(b"gXYZ")
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    description = swapped.replace(b"s\x00R\x00G\x00B", b"x\x00R\x00G\x00B")
    pure = Image.new("RGB", (32, 32), (250, 10, 10))

    found = decode_photo(saved(pure, "PNG", icc_profile=bytes(description)))

    assert found.notes == ("icc",)
    assert found.pixels[0, 0, 1] > 200
    assert found.pixels[0, 0, 0] < 60


def test_an_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = jpeg()
    with_profile = jpeg(icc_profile=profile)

    assert np.array_equal(decode_photo(with_profile).pixels, decode_photo(data).pixels)


def test_a_broken_profile_is_noted_and_the_photo_kept() -> None:
    assert decode_photo(jpeg(icc_profile=b"no profile at all" * 20)).notes == ("icc-unreadable",)


# ---- the other formats ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "GIF"])
def test_a_lossless_format_keeps_every_pixel(file_format: str) -> None:
    image = Image.fromarray(picture()).quantize(64).convert("RGB")

    assert np.array_equal(decode_photo(saved(image, file_format)).pixels, np.asarray(image))


@pytest.mark.parametrize("file_format", ["WEBP", "AVIF"])
def test_a_modern_format_is_read(file_format: str) -> None:
    data = saved(Image.fromarray(picture()), file_format, quality=95)

    assert np.abs(decode_photo(data).pixels.astype(int) - picture()).mean() < 6


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)

    found = decode_photo(saved(Image.fromarray(values), "PNG"))

    assert np.array_equal(found.pixels[..., 0].ravel(), np.arange(256))
    assert found.notes == ("sixteen-bit",)


@pytest.mark.parametrize(
    ("sixteen_bit", "eight_bit"), [(0, 0), (128, 0), (129, 1), (65406, 254), (65407, 255), (65535, 255)]
)
def test_sixteen_bits_are_rounded_to_the_nearest_of_eight(sixteen_bit: int, eight_bit: int) -> None:
    data = saved(Image.fromarray(np.full((8, 8), sixteen_bit, dtype=np.uint16)), "PNG")

    assert decode_photo(data).pixels[0, 0, 0] == eight_bit


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))

    assert decode_photo(saved(image, "PNG")).pixels[0, 0].tolist() == [255, 255, 255]


def test_half_transparent_grey_is_laid_on_white() -> None:
    image = Image.new("LA", (8, 8), (0, 128))

    assert abs(int(decode_photo(saved(image, "PNG")).pixels[0, 0, 0]) - 127) <= 1


def test_the_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.fromarray(np.tile(np.array([[0, 1]], np.uint8), (4, 4)), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])

    found = decode_photo(saved(image, "PNG", transparency=0)).pixels

    assert found[0, :2].tolist() == [[255, 255, 255], [40, 50, 60]]


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_counts(file_format: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = saved(frames[0], file_format, save_all=True, append_images=frames[1:])

    red, _, blue = decode_photo(data).pixels[8, 8].tolist()

    assert red > 200 > 60 > blue


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_counts_outside_jpeg_too(file_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    found = decode_photo(saved(Image.fromarray(picture()), file_format, exif=exif))

    assert found.pixels.shape == (96, 64, 3)
    assert found.original_size == (64, 96)


@pytest.mark.parametrize("step", range(1, 64))
@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_a_cut_file_of_another_format_is_refused(step: int, file_format: str) -> None:
    data = saved(Image.fromarray(picture()), file_format)

    assert reason_of(data[: len(data) * step // 64]) in {"truncated", "corrupt", "not-an-image"}


def test_a_png_with_one_changed_byte_of_picture_data_is_refused() -> None:
    data = bytearray(saved(Image.fromarray(picture()), "PNG"))
    data[data.find(b"IDAT") + 100] ^= 1

    assert reason_of(bytes(data)) == "corrupt"


def test_a_png_with_a_wrong_checksum_is_refused_though_pillow_reads_it() -> None:
    data = bytearray(saved(Image.fromarray(picture()), "PNG"))
    end_of_checksum = data.find(b"IEND") - 5
    data[end_of_checksum] ^= 1
    with Image.open(io.BytesIO(bytes(data))) as lenient:
        lenient.load()

    assert reason_of(bytes(data)) == "corrupt"


def test_a_png_without_its_end_chunk_is_refused() -> None:
    data = saved(Image.fromarray(picture()), "PNG")

    assert reason_of(data[:-12]) == "truncated"


# ---- what is no photo -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><head><title>404</title></head></html>", "html-page"),
        (b"\n <HTML>not found</HTML>", "html-page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git-lfs-pointer"),
        (b"crop,disease\nmaize,rust\n", "not-an-image"),
        (b"\xff\xd8\xff", "truncated"),
    ],
)
def test_what_is_no_photo_is_refused_by_name(data: bytes, reason: str) -> None:
    assert reason_of(data) == reason


def test_a_wrong_suffix_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "leaf.webp"
    path.write_bytes(jpeg())

    assert decode_photo(path).notes == ("extension-mismatch",)


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "leaf.jpg"
    path.write_bytes(b"")

    with pytest.raises(PhotoError, match=r"leaf\.jpg"):
        decode_photo(path)


def test_an_absent_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(PhotoError) as refused:
        decode_photo(tmp_path / "none.jpg")

    assert refused.value.reason == "unreadable"


def test_a_huge_picture_is_refused_before_it_is_decoded() -> None:
    header = b"\x89PNG\r\n\x1a\n"
    body = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (body, b"IDAT" + b"\x00", b"IEND")
    )

    assert reason_of(header + chunks) == "too-many-pixels"


def test_a_huge_jpeg_is_refused_before_it_is_decoded() -> None:
    data = bytearray(jpeg())
    frame = data.find(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65_000, 65_000)

    assert reason_of(bytes(data)) == "too-many-pixels"


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "leaf.jpg"
    with path.open("wb") as file:
        file.truncate(photo_module.MAX_BYTES + 1)

    with pytest.raises(PhotoError) as refused:
        decode_photo(path)

    assert refused.value.reason == "too-many-bytes"


def test_the_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(PhotoError("corrupt", "bad marker", "a.jpg")))

    assert (error.reason, error.detail, str(error)) == (
        "corrupt",
        "bad marker",
        str(PhotoError("corrupt", "bad marker", "a.jpg")),
    )


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"]),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damage_is_refused_or_decoded_and_never_anything_else(kind: str, changes: list[tuple[float, int]]) -> None:
    data = bytearray(saved(Image.fromarray(picture(48, 32)), kind))
    for place, value in changes:
        data[int(place * len(data))] = value

    try:
        channels = decode_photo(bytes(data)).pixels.shape[2]
    except PhotoError:
        channels = 3

    assert channels == 3


@settings(max_examples=200, deadline=None)
@given(
    head=st.sampled_from(
        [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\x00\x00\x00WEBP", b"GIF89a", b"II*\x00", b""]
    ),
    tail=st.binary(max_size=300),
)
def test_random_bytes_behind_a_known_start_are_refused(head: bytes, tail: bytes) -> None:
    with pytest.raises(PhotoError):
        decode_photo(head + tail)


def test_an_encoded_photo_carries_no_exif() -> None:
    assert b"Exif" not in encode_jpeg(picture())


def test_an_encoded_photo_is_a_jpeg() -> None:
    assert sniff_format(encode_jpeg(picture())) == "jpeg"
