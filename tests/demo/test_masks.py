"""The masks are the truth about the photos."""

from __future__ import annotations

import numpy as np
import pytest

from plantset.demo.diseases import CLASSES
from tests.demo.conftest import Drawing

SICK = [demo_class.disease_id for demo_class in CLASSES if demo_class.symptom is not None]


def test_masks_have_the_size_of_their_photo(drawing: Drawing) -> None:
    sizes = {(drawing.photo(row).shape[:2], drawing.mask(row, "leaf_mask").shape) for row in drawing.rows}

    assert all(photo == mask for photo, mask in sizes)


def test_every_lesion_lies_on_the_leaf(drawing: Drawing) -> None:
    outside = [np.count_nonzero(drawing.mask(r, "lesion_mask") & ~drawing.mask(r, "leaf_mask")) for r in drawing.rows]

    assert sum(outside) == 0


def test_healthy_leaves_have_no_lesion(drawing: Drawing) -> None:
    healthy = [row for row in drawing.rows if row["disease_id"].endswith("--healthy")]

    assert healthy
    assert not any(drawing.mask(row, "lesion_mask").any() for row in healthy)


def test_every_sick_photo_shows_a_lesion(drawing: Drawing) -> None:
    sick = [row for row in drawing.rows if not row["disease_id"].endswith("--healthy")]

    assert all(drawing.mask(row, "lesion_mask").any() for row in sick)


def test_the_share_is_lesion_pixels_over_leaf_pixels(drawing: Drawing) -> None:
    for row in drawing.rows:
        lesion, leaf = drawing.mask(row, "lesion_mask").sum(), drawing.mask(row, "leaf_mask").sum()

        assert row["share"] == pytest.approx(lesion / leaf, abs=1e-4), row["source_path"]


def test_the_leaf_stays_away_from_the_border(drawing: Drawing) -> None:
    for row in drawing.rows:
        mask = drawing.mask(row, "leaf_mask")
        mask[8:-8, 8:-8] = False

        assert not mask.any(), row["source_path"]


def test_the_leaf_mask_covers_green_tissue_and_not_the_ground(many_leaves: Drawing) -> None:
    """On paper the ground is grey and a healthy leaf is green: excess green tells one from the other."""
    rows = [
        row
        for row in many_leaves.rows
        if row["scene"]["background"] == "paper" and row["disease_id"].endswith("--healthy")
    ]
    for row in rows:
        pixels, mask = many_leaves.photo(row).astype(np.float32), many_leaves.mask(row, "leaf_mask")
        excess = 2 * pixels[..., 1] - pixels[..., 0] - pixels[..., 2]

        assert np.median(excess[mask]) > np.median(excess[~mask]) + 30, row["source_path"]


@pytest.mark.parametrize("disease_id", SICK)
def test_diseased_tissue_looks_unlike_the_rest_of_the_leaf(drawing: Drawing, disease_id: str) -> None:
    distances = []
    for row in drawing.rows:
        if row["disease_id"] == disease_id:
            pixels = drawing.photo(row).astype(np.float32)
            lesion, leaf = drawing.mask(row, "lesion_mask"), drawing.mask(row, "leaf_mask")
            distances.append(np.linalg.norm(pixels[lesion].mean(axis=0) - pixels[leaf & ~lesion].mean(axis=0)))

    assert np.median(distances) > 12


def mean_colour(drawing: Drawing, disease_id: str, kind: str = "lesion_mask") -> np.ndarray:
    colours = [
        drawing.photo(row)[drawing.mask(row, kind)].mean(axis=0)
        for row in drawing.rows
        if row["disease_id"] == disease_id
    ]
    return np.mean(colours, axis=0)


def test_late_leaf_spot_is_darker_than_early_leaf_spot_as_its_text_says(many_leaves: Drawing) -> None:
    late = mean_colour(many_leaves, "groundnut--late-leaf-spot")
    early = mean_colour(many_leaves, "groundnut--early-leaf-spot")

    assert late.sum() < early.sum()


def test_powdery_mildew_is_whiter_than_sooty_mould_as_its_text_says(many_leaves: Drawing) -> None:
    powder = mean_colour(many_leaves, "mango--powdery-mildew")
    soot = mean_colour(many_leaves, "mango--sooty-mould")

    assert powder.min() > soot.max() + 60


def test_rust_pustules_are_redder_than_a_leaf_as_their_text_says(drawing: Drawing) -> None:
    rust, leaf = mean_colour(drawing, "maize--common-rust"), mean_colour(drawing, "maize--healthy", "leaf_mask")

    assert rust[0] - rust[1] > leaf[0] - leaf[1] + 30
