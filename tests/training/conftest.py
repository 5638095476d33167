"""One tiny training setting that every test here varies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from plantset.training.config import TrainConfig
from tests.fake_leaves import write_leaves
from tests.tiny_models import save_tiny_bert

Configure = Callable[..., TrainConfig]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in another order differ in the last bit: bits are compared on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of eight training and four val photos of each of four classes."""
    return write_leaves(tmp_path_factory.mktemp("leaves"))


@pytest.fixture(scope="package")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a two-layer BERT, as `--text-model` takes it."""
    return str(save_tiny_bert(Path(tmp_path_factory.mktemp("models") / "bert")))


@pytest.fixture(scope="package")
def base_config(leaves: Path, tiny_bert: str) -> TrainConfig:
    """A model of thousands of parameters on 64-pixel photos, seconds for ten epochs."""
    return TrainConfig(
        jsonl_file=leaves,
        vision_backbone="test_resnet",
        text_model=tiny_bert,
        pretrained=False,
        epochs=2,
        batch_size=8,
        learning_rate=2e-3,
        vision_learning_rate_ratio=1.0,
        image_size=64,
        text_length=24,
        note_length=16,
        vision_dim=32,
        text_dim=32,
        fusion_dim=32,
        num_attention_heads=4,
        num_attention_layers=1,
        num_workers=0,
        num_threads=1,
        device="cpu",
    )


@pytest.fixture
def configure(base_config: TrainConfig, tmp_path: Path) -> Configure:
    """Return the setting with changes, writing into this test's folder."""

    def make(**changes: object) -> TrainConfig:
        return dataclasses.replace(base_config, **{"checkpoint_dir": tmp_path / "checkpoints", **changes})  # type: ignore[arg-type]

    return make
