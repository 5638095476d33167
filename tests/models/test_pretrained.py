"""A trained model as a folder: nothing is lost on the way, and what is not a model is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from plantset.core.classes import ClassInfo
from plantset.core.errors import CheckpointError
from plantset.models.decision import Calibration
from plantset.models.load import ModelCard, load_model, to_checkpoint
from plantset.models.pretrained import from_pretrained, save_pretrained
from plantset.runtime.checkpoint import save_checkpoint
from tests.models.small import CLASS_NAMES, NOTES, VOCABULARY, build, photos


@pytest.fixture(scope="module")
def checkpoint(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    classes = tuple(ClassInfo(class_id=name, label=name) for name in CLASS_NAMES)
    path: Path = tmp_path_factory.mktemp("trained") / "best_model.pth"
    card = ModelCard(classes, "fr", VOCABULARY, Calibration(), {}, {})
    save_checkpoint(path, to_checkpoint(build(tiny_bert, preset="cross-attention"), card))
    return path


def test_a_folder_gives_the_answers_of_the_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    save_pretrained(checkpoint, tmp_path / "model")

    ours, again = load_model(checkpoint), from_pretrained(tmp_path / "model")

    assert torch.equal(again.predict_batch(photos(), NOTES), ours.predict_batch(photos(), NOTES))
    assert again.class_names == ours.class_names


def test_a_cut_file_of_weights_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    save_pretrained(checkpoint, tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])

    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        from_pretrained(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json"):
        from_pretrained(tmp_path)
