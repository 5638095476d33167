"""Each check flags what it is named for, and not a good photo."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from plantset.clean.checks import CheckThresholds, find_issues, percentiles, sharpness

Grey = NDArray[np.uint8]
Make = Callable[..., NDArray[np.uint8]]


def grey_of(make_pixels: Make, seed: int = 1) -> Grey:
    return np.asarray(cv2.cvtColor(make_pixels(seed), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def issues_of(grey: Grey, size: tuple[int, int] = (400, 300)) -> tuple[str, ...]:
    return find_issues(grey, size, CheckThresholds())


def test_a_good_photo_has_no_issue(make_pixels: Make) -> None:
    assert issues_of(grey_of(make_pixels)) == ()


def test_a_photo_taken_at_dusk_is_too_dark(make_pixels: Make) -> None:
    assert "too-dark" in issues_of((grey_of(make_pixels) * 0.2).astype(np.uint8))


def test_a_small_bright_spot_does_not_save_a_dark_photo(make_pixels: Make) -> None:
    grey = (grey_of(make_pixels) * 0.2).astype(np.uint8)
    grey[:10, :10] = 255

    assert "too-dark" in issues_of(grey)


def test_a_leaf_on_a_black_background_is_not_too_dark(make_pixels: Make) -> None:
    grey = np.zeros((300, 400), dtype=np.uint8)
    grey[100:200, 150:250] = grey_of(make_pixels)[100:200, 150:250]

    assert "too-dark" not in issues_of(grey)


def test_an_overexposed_photo_is_too_light(make_pixels: Make) -> None:
    assert "too-light" in issues_of((255 - (255 - grey_of(make_pixels).astype(int)) * 0.1).astype(np.uint8))


def test_a_leaf_on_white_paper_is_not_too_light(make_pixels: Make) -> None:
    grey = np.full((300, 400), 255, dtype=np.uint8)
    grey[100:200, 150:250] = grey_of(make_pixels)[100:200, 150:250]

    assert "too-light" not in issues_of(grey)


def test_a_photo_in_fog_has_low_contrast(make_pixels: Make) -> None:
    assert "low-contrast" in issues_of((128 + (grey_of(make_pixels).astype(int) - 128) * 0.06).astype(np.uint8))


def test_a_photo_out_of_focus_is_blurred(make_pixels: Make) -> None:
    assert "blurred" in issues_of(np.asarray(cv2.GaussianBlur(grey_of(make_pixels), (0, 0), 6), dtype=np.uint8))


def test_a_sharp_leaf_on_a_smooth_background_is_not_blurred(make_pixels: Make) -> None:
    grey = np.full((300, 400), 140, dtype=np.uint8)
    grey[100:200, 134:266] = grey_of(make_pixels)[100:200, 134:266]

    assert "blurred" not in issues_of(grey)


def test_an_even_surface_is_uniform_and_not_called_blurred() -> None:
    issues = issues_of(np.full((300, 400), 90, dtype=np.uint8))

    assert "uniform" in issues
    assert "blurred" not in issues


@pytest.mark.parametrize(("size", "extreme"), [((300, 900), False), ((300, 901), True), ((3000, 400), True)])
def test_a_strip_has_an_extreme_aspect(make_pixels: Make, size: tuple[int, int], extreme: bool) -> None:
    assert ("extreme-aspect" in issues_of(grey_of(make_pixels), size)) is extreme


def test_percentiles_are_those_of_numpy(make_pixels: Make) -> None:
    grey = grey_of(make_pixels)

    expected = np.percentile(grey, [5, 95, 99], method="inverted_cdf")

    assert percentiles(grey, (0.05, 0.95, 0.99)) == tuple(expected.astype(int))


def test_sharpness_is_the_variance_of_the_sharpest_tile() -> None:
    grey = np.full((90, 90), 100, dtype=np.uint8)
    grey[45, 45] = 110  # one point in the middle tile: Laplacian -40, and +10 at its four neighbours

    values = np.zeros(900)
    values[:5] = [-40, 10, 10, 10, 10]

    assert sharpness(grey) == pytest.approx(values.var())


def test_a_photo_of_one_pixel_height_is_judged() -> None:
    assert "extreme-aspect" in issues_of(np.arange(200, dtype=np.uint8)[None], (200, 1))
