"""One leaf in two photos: geometry finds it, and the search that --embeddings starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from plantset.clean.embeddings import see_photos
from plantset.clean.same_leaf import find_same_leaves
from plantset.clean.seen import LeafPhoto
from plantset.clean.verify import MIN_INLIERS, count_inliers, local_features
from plantset.core.files import sha256_file
from plantset.core.photo import encode_jpeg

MakePixels = Callable[..., NDArray[np.uint8]]


def textured(make_pixels: MakePixels, seed: int) -> NDArray[np.uint8]:
    """Patches of many sizes, so that there are corners to find."""
    rng = np.random.default_rng(seed)
    pixels = make_pixels(seed).copy()
    for _ in range(150):
        top, left, side = rng.integers(0, 280), rng.integers(0, 380), rng.integers(4, 18)
        pixels[top : top + side, left : left + side] = rng.integers(0, 256, 3)
    return pixels


def test_a_crop_and_its_photo_show_one_leaf(make_pixels: MakePixels) -> None:
    pixels = textured(make_pixels, 1)
    crop = np.ascontiguousarray(pixels[20:290, 25:385])

    assert count_inliers(local_features(pixels), local_features(crop)) >= MIN_INLIERS


def test_two_different_photos_do_not(make_pixels: MakePixels) -> None:
    first, second = (local_features(textured(make_pixels, seed)) for seed in (1, 2))

    assert count_inliers(first, second) < MIN_INLIERS


def test_an_even_surface_matches_nothing() -> None:
    even = local_features(np.full((200, 200, 3), 90, dtype=np.uint8))

    assert count_inliers(even, even) == 0


@pytest.fixture
def photos(make_pixels: MakePixels, tmp_path: Path) -> list[LeafPhoto]:
    """Three photos, seen; the last is a crop of the first."""
    pixels = [textured(make_pixels, 1), textured(make_pixels, 2)]
    found = []
    for name, picture in zip("abc", [*pixels, np.ascontiguousarray(pixels[0][15:285, 20:380])], strict=True):
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(encode_jpeg(picture))
        found.append(LeafPhoto(path, sha256_file(path)))
    see_photos(found, tmp_path / "memory.npz")
    return found


def test_the_search_finds_the_crop_only(photos: list[LeafPhoto], tmp_path: Path) -> None:
    assert find_same_leaves(photos, [], tmp_path / "memory.npz") == [(0, 2)]


def test_a_second_search_reads_no_photo(photos: list[LeafPhoto], tmp_path: Path) -> None:
    find_same_leaves(photos, [], tmp_path / "memory.npz")
    for photo in photos:
        photo.path.unlink()

    see_photos(photos, tmp_path / "memory.npz")
    assert find_same_leaves(photos, [], tmp_path / "memory.npz") == [(0, 2)]


def test_a_single_photo_needs_no_search(photos: list[LeafPhoto], tmp_path: Path) -> None:
    assert find_same_leaves(photos[:1], [], tmp_path / "memory.npz") == []
