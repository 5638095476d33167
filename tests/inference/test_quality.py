"""What is said of a photo before the model sees it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from plantset.core.language import set_message_language
from plantset.data.geometry import Pixels
from plantset.inference.quality import judge_quality, warning_text

GREEN, WHITE = (60, 150, 50), (225, 225, 225)


def leaf_photo(*centres: tuple[int, int], radius: int = 90, size: int = 360) -> Pixels:
    """Green discs with some grain on a light ground."""
    photo = np.full((size, size, 3), WHITE, dtype=np.uint8)
    for centre in centres:
        cv2.circle(photo, centre, radius, GREEN, -1)
    grain = np.random.default_rng(0).normal(0, 6, photo.shape)
    return np.asarray((photo + grain).clip(0, 255), dtype=np.uint8)


def test_a_sharp_leaf_that_fills_the_photo_is_warned_of_nothing() -> None:
    assert judge_quality(leaf_photo((180, 180), radius=140)).warnings == ()


def test_half_a_photo_of_green_is_half_plant() -> None:
    photo = leaf_photo()
    photo[:, :180] = GREEN

    assert judge_quality(photo).plant_share == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("photo", "warning"),
    [
        (cv2.GaussianBlur(leaf_photo((180, 180), radius=140), (0, 0), 8), "blurred"),
        (leaf_photo((180, 180), radius=140) // 6, "too-dark"),
        (255 - (255 - leaf_photo((180, 180), radius=140)) // 8, "too-light"),
        (leaf_photo((40, 40), radius=35, size=80), "too-small"),
        (leaf_photo((180, 180), radius=25), "too-far"),
        (leaf_photo((95, 180), (265, 180), radius=75), "several-leaves"),
    ],
)
def test_what_is_wrong_with_a_photo_is_named(photo: Pixels, warning: str) -> None:
    assert warning in judge_quality(photo).warnings


def test_one_leaf_in_two_colours_is_one_leaf() -> None:
    photo = leaf_photo((180, 180), radius=140)
    cv2.circle(photo, (180, 180), 20, (120, 80, 40), -1)

    assert "several-leaves" not in judge_quality(photo).warnings


@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 30, 30), (128, 128, 128)])
def test_a_picture_without_a_plants_colour_shows_no_plant(colour: tuple[int, int, int]) -> None:
    assert judge_quality(np.full((200, 200, 3), colour, dtype=np.uint8)).shows_no_plant


def test_a_green_leaf_shows_a_plant() -> None:
    assert not judge_quality(leaf_photo((180, 180))).shows_no_plant


def test_each_warning_says_what_to_do_in_french() -> None:
    set_message_language("fr")

    assert warning_text("too-far") == "la feuille est trop loin : qu'elle remplisse la photo"
