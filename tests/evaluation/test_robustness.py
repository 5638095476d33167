"""Spoiled photos: each kind does what it says, more so at each strength, and the loss is paired."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from plantset.evaluation.robustness import SEVERITIES, SPOILERS, dark, rotate, score_robustness, small


def draw_view(seed: int = 0) -> NDArray[np.uint8]:
    """A leaf-like patch: smooth shape, some texture."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:64, 0:64]
    shape = 90 + 60 * np.sin(rows / 9) * np.cos(columns / 7)
    return np.clip(shape[:, :, None] + rng.normal(0, 12, (64, 64, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", SPOILERS)
def test_a_stronger_spoiling_changes_more(kind: str) -> None:
    view = draw_view()

    change = [np.abs(SPOILERS[kind](view, severity).astype(float) - view).mean() for severity in SEVERITIES]

    assert change[0] > 0
    assert change == sorted(change)


@pytest.mark.parametrize("kind", SPOILERS)
def test_a_spoiled_view_keeps_size_and_type(kind: str) -> None:
    spoiled = SPOILERS[kind](draw_view(), 3)

    assert spoiled.shape == (64, 64, 3)
    assert spoiled.dtype == np.uint8


def test_dark_divides_the_light() -> None:
    assert (dark(np.full((8, 8, 3), 100, np.uint8), 3) == 25).all()


def test_a_turned_view_keeps_its_middle() -> None:
    view = np.zeros((65, 65, 3), np.uint8)
    view[32, 32] = 255

    assert rotate(view, 2)[32, 32].tolist() == [255, 255, 255]


def test_a_small_photo_of_one_colour_is_the_same_photo() -> None:
    view = np.full((64, 64, 3), 77, np.uint8)

    assert (small(view, 3) == view).all()


def test_a_model_that_reads_brightness_loses_in_the_dark_alone() -> None:
    views = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (100, 110, 120, 130)])

    scores = score_robustness(
        lambda pixels: (pixels.mean(axis=(1, 2, 3)) < 90).astype(np.int64),
        views,
        np.zeros(4, dtype=np.int64),
        np.arange(4),
        bootstrap_count=50,
        rng=np.random.default_rng(0),
    )

    lost = {(score.kind, score.severity): score.loss.value for score in scores}
    assert lost["dark", 1] == -1.0 + sum(level / 1.5 >= 90 for level in (100, 110, 120, 130)) / 4
    assert lost["dark", 2] == lost["dark", 3] == -1.0
    assert all(loss == 0 for (kind, _), loss in lost.items() if kind != "dark")
