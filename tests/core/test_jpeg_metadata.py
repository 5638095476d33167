"""Metadata taken out of a JPEG: the same pixels, and nothing else left."""

from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from plantset.core.jpeg import read_structure
from plantset.core.jpeg_metadata import strip_metadata

SECRET = b"48.8584 N 2.2945 E"


def picture(seed: int = 0, height: int = 45, width: int = 61) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def saved(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010E] = SECRET.decode()
    return tags


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(simplejpeg.decode_jpeg(data), dtype=np.uint8)


@given(
    seed=st.integers(0, 99),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    quality=st.integers(1, 100),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    restart=st.integers(0, 3),
)
def test_the_pixels_stay(seed: int, height: int, width: int, quality: int, subsampling: str, restart: int) -> None:
    image = picture(seed, height, width)
    data = saved(image, quality=quality, subsampling=subsampling, restart_marker_blocks=restart, exif=exif())

    stripped = strip_metadata(data)

    assert stripped is not None
    assert np.array_equal(pixels(stripped), pixels(data))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(stripped))), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize(
    "options", [{"exif": exif()}, {"comment": SECRET}, {"xmp": SECRET}], ids=["exif", "comment", "xmp"]
)
def test_no_metadata_stay(options: dict[str, object]) -> None:
    data = saved(picture(), **options)
    assert SECRET in data

    stripped = strip_metadata(data)

    assert stripped is not None
    assert SECRET not in stripped
    assert dict(Image.open(io.BytesIO(stripped)).getexif()) == {}


def test_what_follows_the_end_marker_goes() -> None:
    data = saved(picture())

    assert strip_metadata(data + SECRET + b"\xff\xd9") == strip_metadata(data)


def test_a_file_without_metadata_stays_byte_for_byte() -> None:
    data = saved(picture())

    assert strip_metadata(data) == data


@pytest.mark.parametrize(
    "data",
    [
        saved(picture(), exif=exif(6)),
        saved(picture(), progressive=True),
        saved(picture(), icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
        saved(picture().convert("L")),
        saved(picture().convert("CMYK")),
        saved(picture(), keep_rgb=True),
        saved(picture())[:-2],
        b"\xff\xd8\xff\xc0",
        b"\x89PNG\r\n\x1a\n",
        b"",
    ],
    ids=["turned", "progressive", "profile", "grey", "cmyk", "rgb", "no-end", "cut", "png", "empty"],
)
def test_what_others_might_see_otherwise_is_left_to_the_encoder(data: bytes) -> None:
    assert strip_metadata(data) is None


def test_a_comment_inside_the_picture_data_is_left_to_the_encoder() -> None:
    data = saved(picture())
    comment = b"\xff\xfe" + (len(SECRET) + 2).to_bytes(2, "big") + SECRET

    assert strip_metadata(data[:-2] + comment + b"\xff\xd9") is None


def test_files_that_share_a_header_are_read_each_for_itself() -> None:
    whole, other = saved(picture(1)), saved(picture(2))

    first, second, cut_off = (read_structure(data) for data in (whole, other, whole[:-2]))

    assert [first.end, second.end, cut_off.end] == [len(whole), len(other), None]
    assert [second.scans[0].stop, cut_off.scans[0].stop] == [len(other) - 2, len(whole) - 2]


def test_a_comment_between_header_and_end_is_seen_in_a_file_of_a_known_header() -> None:
    data = saved(picture())
    assert len(read_structure(data).scans) == 1

    structure = read_structure(data[:-2] + data[2:])  # a second picture follows inside the first

    assert len(structure.scans) == 2
