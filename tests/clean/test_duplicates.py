"""Near copies: the hash, the exact search, the confirmation."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from plantset.clean.duplicates import MIN_CORRELATION, confirm_pairs, perceptual_hash, thumbnail
from plantset.clean.hamming import near_pairs, orientation_hashes

Grey = NDArray[np.uint8]

TURNS: dict[str, Callable[[Grey], Grey]] = {
    "as-it-is": lambda grey: grey,
    "quarter": lambda grey: np.rot90(grey),
    "half": lambda grey: np.rot90(grey, 2),
    "three-quarters": lambda grey: np.rot90(grey, 3),
    "mirrored": np.fliplr,
    "upside-down": np.flipud,
    "transposed": lambda grey: grey.T,
    "anti-transposed": lambda grey: np.rot90(grey, 2).T,
}
EDITS: dict[str, Callable[[Grey], Grey]] = {
    "re-encoded": lambda grey: simplejpeg.decode_jpeg(
        simplejpeg.encode_jpeg(grey[..., None], 40, "GRAY", "Gray"), "GRAY"
    )[..., 0],
    "half-size": lambda grey: cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "brighter": lambda grey: np.minimum(grey.astype(int) + 25, 255).astype(np.uint8),
    "brightened-until-clipped": lambda grey: np.minimum(grey.astype(int) * 5 // 4, 255).astype(np.uint8),
    "darker": lambda grey: (grey * 0.7).astype(np.uint8),
    "softer": lambda grey: cv2.GaussianBlur(grey, (0, 0), 2),
}


def grey_of(make_pixels: Callable[..., NDArray[np.uint8]], seed: int) -> Grey:
    return np.asarray(cv2.cvtColor(make_pixels(seed), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def pairs_of(*greys: Grey) -> list[list[int]]:
    hashes = np.array([perceptual_hash(np.ascontiguousarray(grey)) for grey in greys], dtype=np.uint64)
    small = np.stack([np.frombuffer(thumbnail(np.ascontiguousarray(grey)), np.uint8) for grey in greys])
    return confirm_pairs(near_pairs(hashes), small).tolist()


@pytest.mark.parametrize("turn", TURNS)
def test_a_photo_and_its_turned_copy_are_a_pair(make_pixels: Callable[..., NDArray[np.uint8]], turn: str) -> None:
    grey = grey_of(make_pixels, 1)

    assert pairs_of(grey, TURNS[turn](grey)) == [[0, 1]]


@pytest.mark.parametrize("edit", EDITS)
def test_a_photo_and_its_edited_and_turned_copy_are_a_pair(
    make_pixels: Callable[..., NDArray[np.uint8]], edit: str
) -> None:
    grey = grey_of(make_pixels, 2)

    assert pairs_of(grey, np.rot90(EDITS[edit](grey))) == [[0, 1]]


def test_clipping_the_lightest_fifth_moves_no_bit(make_pixels: Callable[..., NDArray[np.uint8]]) -> None:
    grey = cv2.resize(grey_of(make_pixels, 4), (32, 32), interpolation=cv2.INTER_AREA)
    clipped = np.minimum(grey, np.percentile(grey, 80)).astype(np.uint8)

    assert perceptual_hash(clipped) == perceptual_hash(grey)


def test_two_hundred_different_photos_have_no_pair(make_pixels: Callable[..., NDArray[np.uint8]]) -> None:
    assert pairs_of(*(grey_of(make_pixels, seed) for seed in range(200))) == []


@pytest.mark.parametrize("index", range(8))
def test_the_hash_of_a_turned_photo_follows_from_the_hash_alone(
    make_pixels: Callable[..., NDArray[np.uint8]], index: int
) -> None:
    grey = cv2.resize(grey_of(make_pixels, 3), (32, 32), interpolation=cv2.INTER_AREA)
    turned = list(TURNS.values())[index](grey)

    expected = perceptual_hash(np.ascontiguousarray(turned))

    assert expected in orientation_hashes(np.array([perceptual_hash(grey)], dtype=np.uint64))[0].tolist()


def test_the_first_orientation_is_the_hash_itself() -> None:
    hashes = np.array([1, 0x0123456789ABCDEF, 2**63 - 1], dtype=np.uint64)

    assert orientation_hashes(hashes)[:, 0].tolist() == hashes.tolist()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 60),
    distance=st.integers(0, 6),
    flips=st.integers(0, 9),
)
def test_the_search_finds_what_comparing_all_with_all_finds(seed: int, count: int, distance: int, flips: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**63, 4, dtype=np.uint64)
    hashes = centres[rng.integers(0, 4, count)]
    for _ in range(flips):
        hashes = hashes ^ (np.uint64(1) << rng.integers(0, 63, count).astype(np.uint64))
    hashes = np.unique(hashes)
    apart = (
        np.bitwise_count(hashes[:, None, None] ^ orientation_hashes(hashes)[None]).min(axis=2)
        if len(hashes)
        else np.empty((0, 0))
    )
    expected = [[i, j] for i in range(len(hashes)) for j in range(i + 1, len(hashes)) if apart[i, j] <= distance]

    assert near_pairs(hashes, distance).tolist() == expected


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 62), min_size=6, max_size=6), st.integers(0, 2**63 - 1), st.integers(0, 7))
def test_a_pair_is_found_whichever_six_bits_differ_and_however_it_is_turned(
    bits: set[int], value: int, turn: int
) -> None:
    turned = int(orientation_hashes(np.array([value ^ sum(1 << bit for bit in bits)], dtype=np.uint64))[0, turn])

    found = near_pairs(np.array([value, turned], dtype=np.uint64)).tolist()

    assert found == [[0, 1]]


def test_a_pair_seven_bits_apart_is_none() -> None:
    assert (
        near_pairs(np.array([0x1B2D3A4C5E6F7081, 0x1B2D3A4C5E6F7081 ^ 0b1010101010101 << 20], dtype=np.uint64)).tolist()
        == []
    )


def test_equal_hashes_are_each_paired_with_the_first() -> None:
    assert near_pairs(np.array([9, 5, 9, 9], dtype=np.uint64), 0).tolist() == [[0, 2], [0, 3]]


def test_a_distance_that_the_search_cannot_promise_is_refused() -> None:
    with pytest.raises(ValueError, match="only up to 6"):
        near_pairs(np.zeros(2, dtype=np.uint64), 7)


def test_equal_hashes_of_different_pictures_are_not_confirmed() -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (2, 256), dtype=np.uint8)

    assert confirm_pairs(np.array([[0, 1]]), small, MIN_CORRELATION).tolist() == []


def test_a_thumbnail_without_contrast_is_confirmed_with_none() -> None:
    small = np.full((2, 256), 128, dtype=np.uint8)

    assert confirm_pairs(np.array([[0, 1]]), small).tolist() == []
