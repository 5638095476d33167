"""Nothing but the leaf tells the class."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plantset.demo.scene import draw_scene
from tests.demo.conftest import Drawing

CHANCE = 1 / 27


def accuracy(features: list[np.ndarray], drawing: Drawing) -> float:
    labels = [row["disease_id"] for row in drawing.rows]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300))
    return float(cross_val_score(model, np.array(features), labels, cv=4).mean())


def border_colours(pixels: np.ndarray) -> np.ndarray:
    """Mean and deviation of each of 16 stretches of the outer 8 pixels."""
    top, bottom = pixels[:8], pixels[-8:]
    left, right = pixels[:, :8].swapaxes(0, 1), pixels[:, -8:].swapaxes(0, 1)
    stretches = [part for side in (top, bottom, left, right) for part in np.array_split(side, 4, axis=1)]
    return np.concatenate([[part.mean((0, 1)), part.std((0, 1))] for part in stretches]).ravel()


def leaf_colours(drawing: Drawing, row: dict) -> np.ndarray:
    """How the leaf's pixels spread over brightness, redness and greenness, and how much of a square the leaf fills."""
    mask = drawing.mask(row, "leaf_mask")
    pixels = drawing.photo(row)[mask].astype(np.float32)
    total = pixels.sum(axis=1) + 1
    values = (total / 3, 255 * pixels[:, 0] / total, 255 * pixels[:, 1] / total)
    quantiles = [np.quantile(value, [0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98]) for value in values]
    return np.append(np.concatenate(quantiles), mask.mean())


def test_eight_border_pixels_name_the_class_no_better_than_chance(many_leaves: Drawing) -> None:
    features = [border_colours(many_leaves.photo(row)) for row in many_leaves.rows]

    assert accuracy(features, many_leaves) < CHANCE + 3 * np.sqrt(CHANCE * (1 - CHANCE) / len(features))


def test_the_colours_of_the_leaf_name_the_class_far_better_than_chance(many_leaves: Drawing) -> None:
    features = [leaf_colours(many_leaves, row) for row in many_leaves.rows]

    assert accuracy(features, many_leaves) > 8 * CHANCE


def test_a_scene_is_drawn_without_knowing_the_leaf() -> None:
    assert list(inspect.signature(draw_scene).parameters) == ["rng"]


@pytest.mark.parametrize("nuisance", ["turn", "tilt", "fill", "exposure", "warmth", "blur", "grain", "quality"])
def test_a_nuisance_has_the_same_distribution_in_every_class(many_leaves: Drawing, nuisance: str) -> None:
    """One-way analysis by permutation: the classes' means spread no more than those of shuffled classes."""
    values = np.array([row["scene"][nuisance] for row in many_leaves.rows], np.float64).reshape(27, -1)
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(values.ravel()).reshape(values.shape).mean(axis=1).std() for _ in range(500)]

    assert values.mean(axis=1).std() < np.quantile(shuffled, 0.999)


def test_backgrounds_and_fingers_are_shared_out_evenly_over_the_classes(many_leaves: Drawing) -> None:
    """Chi-square by permutation over the table class × (background, fingers)."""
    kinds = [f"{row['scene']['background']} {row['scene']['fingers']}" for row in many_leaves.rows]
    codes = np.unique(kinds, return_inverse=True)[1]
    rng = np.random.default_rng(0)
    shuffled = [chi_square(rng.permutation(codes)) for _ in range(300)]

    assert chi_square(codes) < np.quantile(shuffled, 0.999)


def chi_square(codes: np.ndarray) -> float:
    table = np.stack([np.bincount(row, minlength=codes.max() + 1) for row in codes.reshape(27, -1)])
    expected = table.mean(axis=0, keepdims=True)
    return float(((table - expected) ** 2 / expected).sum())
