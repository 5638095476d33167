"""Photo -> square: what is kept and what varies."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantset.core.preprocess import PreprocessConfig
from plantset.data.choices import AugmentPolicy
from plantset.data.geometry import Pixels, augment_photo, fit_photo

PREPROCESS = PreprocessConfig(32, 0.875, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

LIGHT, STRONG = AugmentPolicy("light"), AugmentPolicy("strong", prob=1.0)
POLICIES = pytest.mark.parametrize("policy", [LIGHT, STRONG], ids=["light", "strong"])


def _photo(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


@POLICIES
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 5))
def test_any_photo_becomes_a_square_of_the_models_size(
    policy: AugmentPolicy, height: int, width: int, seed: int
) -> None:
    photo = _photo(height, width)

    views = [fit_photo(photo, PREPROCESS), augment_photo(photo, PREPROCESS, np.random.default_rng(seed), policy)]

    assert all(view.shape == (32, 32, 3) and view.dtype == np.uint8 and view.flags.c_contiguous for view in views)


def test_a_photo_of_the_models_size_is_left_as_it_is() -> None:
    photo = _photo(32, 32)

    assert np.array_equal(fit_photo(photo, PREPROCESS), photo)


def test_halving_a_photo_averages_each_two_by_two_block() -> None:
    photo = _photo(64, 64)
    blocks = photo.reshape(32, 2, 32, 2, 3).astype(np.float64).mean(axis=(1, 3))

    assert np.abs(fit_photo(photo, PREPROCESS) - blocks).max() <= 0.51


def test_all_four_corners_of_a_wide_photo_stay_in_view() -> None:
    photo = np.zeros((64, 256, 3), dtype=np.uint8)
    photo[:16, :64], photo[:16, -64:], photo[-16:, :64], photo[-16:, -64:] = 50, 100, 150, 200

    view = fit_photo(photo, PREPROCESS)

    assert [int(view[y, x, 0]) for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1))] == [50, 100, 150, 200]


@POLICIES
def test_a_view_depends_on_the_generator_alone(policy: AugmentPolicy) -> None:
    photo = _photo(60, 50)

    first, again, other = (augment_photo(photo, PREPROCESS, np.random.default_rng(seed), policy) for seed in (3, 3, 4))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@POLICIES
def test_augmentation_does_not_change_the_photo_it_is_given(policy: AugmentPolicy) -> None:
    photo = _photo(32, 32)
    before = photo.copy()

    for seed in range(20):
        augment_photo(photo, PREPROCESS, np.random.default_rng(seed), policy)

    assert np.array_equal(photo, before)


def test_without_augmentation_training_sees_what_evaluation_sees() -> None:
    photo = _photo(60, 50)

    view = augment_photo(photo, PREPROCESS, np.random.default_rng(0), AugmentPolicy("none"))

    assert np.array_equal(view, fit_photo(photo, PREPROCESS))


@POLICIES
@pytest.mark.parametrize("rgb", [(214, 112, 30), (120, 70, 40), (60, 140, 50), (220, 210, 60)])
def test_the_hue_of_a_lesion_stays_in_every_view(rgb: tuple[int, int, int], policy: AugmentPolicy) -> None:
    """Disease is colour: over 40 views the hue turns by less than 8 of 360 degrees on average."""
    photo = np.full((64, 64, 3), rgb, dtype=np.uint8)

    views = [augment_photo(photo, PREPROCESS, np.random.default_rng(seed), policy) for seed in range(40)]
    turns = [_hue_turn(photo, view) for view in views]

    assert np.mean(turns) < 8


def _hue_turn(photo: Pixels, view: Pixels) -> float:
    hues = [float(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 0].mean()) * 2 for pixels in (photo, view)]
    difference = abs(hues[0] - hues[1])
    return min(difference, 360 - difference)


def test_a_view_keeps_at_least_a_third_of_the_photo() -> None:
    """A ramp over the columns: the share of its range in a view is at least the narrowest window's width."""
    ramp = np.repeat(np.linspace(40, 210, 256).astype(np.uint8)[None, :, None], 3, axis=2).repeat(256, axis=0)
    spans = []
    for seed in range(50):
        view = augment_photo(ramp, PREPROCESS, np.random.default_rng(seed), LIGHT).astype(int)
        spans.append(max(np.ptp(view[0, :, 0]), np.ptp(view[:, 0, 0])) / 170)

    assert min(spans) > 0.35 * 0.8  # the narrowest window, in the dimmest contrast


def test_all_eight_orientations_occur() -> None:
    corner = np.zeros((64, 64, 3), dtype=np.uint8)
    corner[:32, :32], corner[:32, 32:] = 240, 120
    seen = set()
    for seed in range(200):
        view = augment_photo(corner, PREPROCESS, np.random.default_rng(seed), LIGHT)[..., 0].astype(int)
        seen.add(tuple(np.argsort([view[2, 2], view[2, -3], view[-3, 2], view[-3, -3]])[-2:].tolist()))

    assert len(seen) == 8
