"""What the model still answers when the leaf is painted over."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from plantset.core.errors import DataError
from plantset.core.records import find_images_dir, read_records
from plantset.evaluation.background import find_mask, paint_over, read_mask
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.measure import evaluate_model
from plantset.evaluation.results import EvaluationResults

from .conftest import ColourModel


def evaluate(config: EvaluateConfig) -> EvaluationResults:
    records = read_records(config.jsonl_file)
    images_dir = find_images_dir(config.jsonl_file, records, None)
    return evaluate_model(ColourModel(), records, images_dir, config).results


def write_masks(config: EvaluateConfig, folder: Path, leaf: slice) -> None:
    """Give each photo of val a mask whose columns `leaf` are leaf."""
    for record in read_records(config.jsonl_file):
        if record.split == "val":
            mask = np.zeros((40, 48), np.uint8)
            mask[:, leaf] = 255
            path = (folder / record.image_path).with_suffix(".leaf.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".png", mask)[1].tobytes())


def test_the_leaf_takes_the_mean_colour_of_the_rest() -> None:
    view = np.zeros((2, 2, 3), np.uint8)
    view[0] = 200
    view[1, 0] = 100
    leaf = np.array([[True, True], [False, False]])

    painted = paint_over(view, leaf)

    assert (painted[0] == 50).all()
    assert (painted[1] == view[1]).all()


def test_a_photo_of_nothing_but_leaf_becomes_grey() -> None:
    assert (paint_over(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), bool)) == 128).all()


def test_a_model_that_reads_the_background_still_answers(colour_config: EvaluateConfig, tmp_path: Path) -> None:
    """The photos are of one colour all over: what is left of it says the class."""
    write_masks(colour_config, tmp_path / "masks", slice(0, 24))

    found = evaluate(dataclasses.replace(colour_config, masks_dir=tmp_path / "masks")).background

    assert found is not None
    assert (found.num_photos, found.background.value, found.model.value) == (16, 15 / 16, 15 / 16)
    assert found.mean_leaf_share == pytest.approx(0.5)
    assert found.tells


def test_a_model_without_any_background_is_at_chance(colour_config: EvaluateConfig, tmp_path: Path) -> None:
    write_masks(colour_config, tmp_path / "masks", slice(0, 48))

    found = evaluate(dataclasses.replace(colour_config, masks_dir=tmp_path / "masks")).background

    assert found is not None
    assert found.background.value == found.chance == 0.25
    assert not found.tells


def test_without_masks_nothing_is_said_of_the_background(colour_config: EvaluateConfig) -> None:
    assert evaluate(colour_config).background is None


def test_a_folder_without_a_mask_of_these_photos_says_how_they_are_named(
    colour_config: EvaluateConfig, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as refused:
        evaluate(dataclasses.replace(colour_config, masks_dir=tmp_path))

    assert ".leaf.png" in refused.value.fix


def test_a_mask_may_have_the_photos_own_name(colour_config: EvaluateConfig, tmp_path: Path) -> None:
    record = read_records(colour_config.jsonl_file)[0]
    path = (tmp_path / record.image_path).with_suffix(".png")
    path.parent.mkdir(parents=True)
    path.touch()

    assert find_mask(record, tmp_path) == path


def test_a_mask_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_text("no picture")

    with pytest.raises(DataError, match=r"mask\.png"):
        read_mask(tmp_path / "mask.png", 32)
