"""Each check flags what it is named for, and not a good photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from plantset.clean.checks import CHECKS, find_issues, is_sharp, percentiles, sharpness, view_photo
from plantset.clean.config import CleanConfig
from plantset.clean.cues import PhotoCues
from plantset.clean.facts import PhotoFacts
from plantset.clean.frame import is_named_augmented
from plantset.clean.rejection import names_to_reject, reject_failed, thresholds_of
from plantset.clean.scan import FoundFile
from plantset.clean.selection import Candidate
from plantset.clean.thresholds import CHECK_NAMES, NOT_A_LEAF, CheckThresholds
from plantset.core.errors import ConfigError

Grey = NDArray[np.uint8]
Make = Callable[..., NDArray[np.uint8]]


def grey_of(make_pixels: Make, seed: int = 1) -> Grey:
    return np.asarray(cv2.cvtColor(make_pixels(seed), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def issues_of(grey: Grey, size: tuple[int, int] = (400, 300)) -> tuple[str, ...]:
    tinted = np.stack([grey // 2, grey, grey // 2], axis=2)
    return find_issues(view_photo(tinted, grey, size), CheckThresholds())


def issues_in(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return find_issues(view_photo(pixels, grey, (pixels.shape[1], pixels.shape[0])), CheckThresholds())


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


@pytest.mark.parametrize("place", [(15, 15), (45, 45), (45, 29), (60, 60), (89, 0)])
def test_a_photo_is_sharp_when_its_sharpest_tile_is(place: tuple[int, int]) -> None:
    grey = np.full((90, 90), 100, dtype=np.uint8)
    grey[place] = 110
    laplacian = cv2.Laplacian(grey, cv2.CV_64F)
    tiles = [laplacian[top : top + 30, left : left + 30].var() for top in (0, 30, 60) for left in (0, 30, 60)]

    assert is_sharp(grey, max(tiles) - 1e-9)
    assert not is_sharp(grey, max(tiles) + 1e-9)


def test_a_photo_of_one_pixel_height_is_judged() -> None:
    assert "extreme-aspect" in issues_of(np.arange(200, dtype=np.uint8)[None], (200, 1))


def test_a_photo_without_colour_is_grey_scale(make_pixels: Make) -> None:
    grey = grey_of(make_pixels)

    assert "grey-scale" in issues_in(np.stack([grey] * 3, axis=2))


def test_a_photo_in_a_frame_has_a_border(make_pixels: Make) -> None:
    framed = cv2.copyMakeBorder(make_pixels(1), 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=(255, 255, 255))

    assert "border" in issues_in(np.asarray(framed, dtype=np.uint8))


def test_a_round_leaf_on_white_paper_has_no_border(make_pixels: Make) -> None:
    mask = cv2.circle(np.zeros((300, 400), np.uint8), (200, 150), 120, 1, -1)

    pixels = np.where(mask[:, :, None] == 1, make_pixels(1), 255).astype(np.uint8)

    assert "border" not in issues_in(pixels)


def turned(pixels: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height)), dtype=np.uint8)


def test_a_photo_turned_with_black_corners_is_augmented(make_pixels: Make) -> None:
    light = np.maximum(make_pixels(1), 60).astype(np.uint8)

    assert "augmented" in issues_in(turned(light, 25))


@pytest.mark.parametrize("name", ["aug_0_12.jpg", "leaf_90deg.JPG", "leaf_new30degFlipLR.JPG"])
def test_a_name_given_by_an_augmentation_program_is_known(name: str) -> None:
    assert is_named_augmented(name)


@pytest.mark.parametrize("name", ["august_12.jpg", "IMG_0190.jpg", "real_00005.jpg", "taken 12 aug.jpg"])
def test_an_ordinary_name_is_not_augmented(name: str) -> None:
    assert not is_named_augmented(name)


def test_a_caption_on_a_bar_is_a_text_overlay(make_pixels: Make) -> None:
    pixels = cv2.resize(make_pixels(1), (512, 384), interpolation=cv2.INTER_CUBIC)
    pixels[-44:] = 255
    picture = Image.fromarray(pixels)
    font = ImageFont.load_default(size=22)
    ImageDraw.Draw(picture).text((20, 346), "field station plot 12 tomato", fill=(0, 0, 0), font=font)

    assert "text-overlay" in issues_in(np.asarray(picture))


def test_the_three_teeth_of_a_leaf_edge_are_no_text() -> None:
    grey = np.full((256, 256), 180, dtype=np.uint8)
    for left in (100, 114, 128):
        grey[100:112, left : left + 7] = 40

    assert "text-overlay" not in issues_of(grey)


def test_the_flags_of_clean_are_the_thresholds_defaults() -> None:
    assert thresholds_of(CleanConfig()) == CheckThresholds()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dark_level", -1.0),
        ("light_level", 256.0),
        ("low_contrast_range", -0.1),
        ("uniform_std", 128.0),
        ("blurred_variance", -1.0),
        ("extreme_aspect_ratio", 0.9),
        ("grey_chroma", float("nan")),
    ],
)
def test_a_threshold_out_of_range_is_refused_by_the_name_of_its_flag(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} "):
        thresholds_of(replace(CleanConfig(), **{name: value}))


def test_every_check_has_a_name_that_reject_knows() -> None:
    assert tuple(CHECKS) == CHECK_NAMES


def test_names_to_reject_may_be_parted_by_commas() -> None:
    assert names_to_reject(("blurred,too-dark", "border"), embeddings=False) == {"blurred", "too-dark", "border"}


def test_an_unknown_name_to_reject_is_answered_with_all_names() -> None:
    with pytest.raises(ConfigError) as caught:
        names_to_reject(("blurry",), embeddings=False)

    assert all(name in str(caught.value.fix) for name in (*CHECK_NAMES, NOT_A_LEAF))


def test_a_check_that_needs_a_network_is_rejected_for_with_embeddings_only() -> None:
    assert names_to_reject((NOT_A_LEAF,), embeddings=True) == {NOT_A_LEAF}
    with pytest.raises(ConfigError, match="--embeddings"):
        names_to_reject((NOT_A_LEAF,), embeddings=False)


def candidate(name: str, *issues: str) -> Candidate:
    facts = PhotoFacts("00", (300, 300), (300, 300), "0" * 16, issues, b"", 1, PhotoCues(b"", 1))
    return Candidate(FoundFile(path=Path(name), source_path=name, label="a"), "a", name, facts)


def test_only_photos_that_fail_a_named_check_are_rejected() -> None:
    photos = [candidate("good.jpg"), candidate("soft.jpg", "blurred"), candidate("framed.jpg", "border")]

    kept, rejected = reject_failed(photos, {"blurred"})

    assert [photo.image_path for photo in kept] == ["good.jpg", "framed.jpg"]
    assert [(row.source_path, row.reason) for row in rejected] == [("soft.jpg", "blurred")]
