"""A language model that reads and writes, from training to checkpoint, inference and evaluation."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch

from plantset.core.errors import ConfigError
from plantset.core.records import read_records
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.run import evaluate
from plantset.inference.predictor import load_predictor
from plantset.models.generation import Decoding
from plantset.models.load import load_model
from plantset.models.prefix import PrefixCaptioner
from plantset.models.pretrained import from_pretrained, save_pretrained
from plantset.runtime.checkpoint import load_checkpoint
from plantset.training.config import TrainConfig
from plantset.training.run import train
from tests.tiny_models import save_tiny_gpt2, save_tiny_llama
from tests.training.conftest import Configure


@pytest.fixture(scope="module")
def config(base_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("gpt2")
    return dataclasses.replace(
        base_config,
        preset="qwen-vl",
        num_queries=4,
        text_model=str(save_tiny_gpt2(folder / "model")),
        freeze_text=False,
        epochs=20,
        text_length=64,
        learning_rate=5e-3,
        caption_weight=1.0,
        checkpoint_dir=folder / "checkpoints",
    )


@pytest.fixture(scope="module")
def trained(config: TrainConfig) -> Path:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    path = train(config).best_path
    torch.set_num_threads(before)
    return path


@pytest.fixture
def photos(config: TrainConfig) -> list[Path]:
    records = read_records(config.jsonl_file)
    return [config.jsonl_file.parent / "images" / record.image_path for record in records if record.split == "val"]


def test_the_preset_wrote_with_the_text_model_and_it_learnt(trained: Path) -> None:
    with (trained.parent / "history.csv").open(encoding="utf-8", newline="") as file:
        losses = [float(row["loss/caption"]) for row in csv.DictReader(file)]

    assert load_model(trained).model.config.captioner == "prefix"
    assert losses[-1] < losses[0] - 0.5


def test_the_checkpoint_holds_one_language_model_and_its_words(trained: Path) -> None:
    checkpoint = load_checkpoint(trained)

    tables = [name for name, tensor in checkpoint.tensors.items() if "wte" in name]
    assert tables == ["text.model.wte.weight"]
    assert json.loads(checkpoint.meta["vocabulary"])["kind"] == "language-model"
    assert not [name for name in checkpoint.tensors if name.startswith("model.captioner") and "wte" in name]


def test_a_loaded_model_writes_as_often_as_asked_the_same(trained: Path, photos: list[Path]) -> None:
    predictor = load_predictor(trained)

    texts = [predictor.predict(photos[0], describe=True, language="fr").description for _ in range(2)]

    assert texts[0]
    assert texts[0] == texts[1]


def test_a_folder_of_its_own_writes_what_the_checkpoint_writes(
    trained: Path, photos: list[Path], tmp_path: Path
) -> None:
    save_pretrained(trained, tmp_path / "model")
    models = [load_model(trained), from_pretrained(tmp_path / "model")]
    view = torch.from_numpy(load_predictor(trained).read(photos[0]))[None]

    beams = [model.caption_tokens(model.encode_photos(view), "en", decoding=Decoding(num_beams=2)) for model in models]

    assert beams[0] == beams[1]


def test_photos_without_a_note_or_a_text_need_no_language_model(trained: Path, photos: list[Path]) -> None:
    predictor = load_predictor(trained)

    predictor.predict(photos[0])

    assert predictor.model.model.text is None
    assert isinstance(predictor.model.model.captioner, PrefixCaptioner)


def test_evaluate_reports_captions_perplexity_and_bits_per_byte(
    config: TrainConfig, trained: Path, tmp_path: Path
) -> None:
    report = evaluate(
        EvaluateConfig(
            checkpoint=trained, jsonl_file=config.jsonl_file, output_dir=tmp_path, caption_count=4, device="cpu"
        )
    )

    captions = report.results.captions
    assert captions is not None
    assert captions.num_photos == 4
    assert 1 < captions.likelihood.perplexity < 401  # better than any of 401 words being as likely
    assert captions.likelihood.bits_per_byte > 0


def test_a_run_that_goes_on_writes_with_what_it_had_learnt(config: TrainConfig, trained: Path, tmp_path: Path) -> None:
    later = dataclasses.replace(config, init_checkpoint=trained, epochs=1, learning_rate=1e-9, checkpoint_dir=tmp_path)

    train(later)

    before, after = (load_checkpoint(path).tensors for path in (trained, tmp_path / "best_model.pth"))
    for name in ("model.captioner.projection.weight", "text.model.wte.weight"):
        torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)


def test_a_frozen_language_model_trains_the_projection_alone(configure: Configure, tmp_path: Path) -> None:
    llama = str(save_tiny_llama(tmp_path / "llama"))

    path = train(configure(text_model=llama, captioner="prefix", text_length=64)).best_path

    model = load_model(path)
    assert model.languages == ("en", "fr")
    assert load_checkpoint(path).meta["text"]["writes"]


def test_an_encoder_that_is_to_write_is_refused_before_training(configure: Configure) -> None:
    with pytest.raises(ConfigError, match="decoder-only"):
        train(configure(captioner="prefix"))
