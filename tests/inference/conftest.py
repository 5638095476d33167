"""One small trained model, its photos, and what asks it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from plantset.core.classes import class_infos
from plantset.core.records import read_records
from plantset.core.vocabulary import Vocabulary
from plantset.inference.predictor import Predictor, load_predictor
from plantset.models.build import create_multimodal_model
from plantset.models.decision import Calibration
from plantset.models.load import ModelCard, to_checkpoint
from plantset.runtime.checkpoint import save_checkpoint
from tests.fake_leaves import CLASS_IDS, TEXTS, write_leaves
from tests.tiny_models import save_tiny_bert


@pytest.fixture(scope="package")
def photos_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos of each class, and the manifest beside their folder."""
    return write_leaves(tmp_path_factory.mktemp("leaves"), (("train", 2),)).parent / "images"


def _write(path: Path, photos_dir: Path, text_model: str, calibration: Calibration) -> Path:
    texts = [said.description for by_language in TEXTS.values() for said in by_language.values()]
    vocabulary = Vocabulary.train(texts, languages=["fr", "en"], size=400)
    torch.manual_seed(0)
    model = create_multimodal_model(
        4, "test_resnet", text_model, 24, 24, 24, 4,
        pretrained=False, image_size=64, vocabulary_size=len(vocabulary), text_length=16,
    )  # fmt: skip
    with torch.no_grad():
        model.classifier.linear.weight.normal_(std=0.3)  # untrained, but with opinions
    infos = class_infos(read_records(photos_dir.parent / "multimodal_dataset.jsonl"))
    save_checkpoint(path, to_checkpoint(model, ModelCard(infos, "fr", vocabulary, calibration, {}, {})))
    return path


@pytest.fixture(scope="package")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a two-layer BERT, as `--text-model` takes it."""
    return str(save_tiny_bert(Path(tmp_path_factory.mktemp("models") / "bert")))


@pytest.fixture(scope="package")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, photos_dir: Path, tiny_bert: str) -> Path:
    """A model that always answers."""
    path = tmp_path_factory.mktemp("checkpoint") / "best_model.pth"
    return _write(path, photos_dir, tiny_bert, Calibration(1.5, 0.0, 0.6, num_photos=9))


@pytest.fixture(scope="package")
def unsure_checkpoint(tmp_path_factory: pytest.TempPathFactory, photos_dir: Path) -> Path:
    """A model that never is sure enough, and takes no notes."""
    path = tmp_path_factory.mktemp("unsure") / "best_model.pth"
    return _write(path, photos_dir, "none", Calibration(1.0, 1.1, 1.0, num_photos=9))


@pytest.fixture(scope="package")
def predictor(checkpoint: Path) -> Predictor:
    """The model that always answers."""
    return load_predictor(checkpoint)


@pytest.fixture(scope="package")
def photo(photos_dir: Path) -> Path:
    """One photo of rust."""
    return photos_dir / f"{CLASS_IDS[0]}_train_0.jpg"
