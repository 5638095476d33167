"""A released checkpoint as the base of a model of ours: which towers it gives, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from plantset.core.classes import ClassInfo
from plantset.core.errors import ConfigError
from plantset.models.build import create_multimodal_model, towers_of
from plantset.models.config import PACKAGED_TEXT, PACKAGED_VISION, ModelsConfig
from plantset.models.decision import Calibration
from plantset.models.listing import models
from plantset.models.load import ModelCard, load_model, to_checkpoint
from plantset.models.presets import PRESETS, PresetName
from plantset.runtime.checkpoint import save_checkpoint
from tests.encoders.test_released import save
from tests.encoders.test_released_text import TOWERS, save_with_tokenizer
from tests.models.small import CLASS_NAMES, VOCABULARY

NOTES = ["Les feuilles portent des taches brunes.", None]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder of each kind that has both towers."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in TOWERS}
    for kind, folder in folders.items():
        save_with_tokenizer(folder, kind)
    return {kind: str(folder) for kind, folder in folders.items()}


def _photos() -> torch.Tensor:
    pixels = torch.randint(0, 256, (2, 32, 32, 3), generator=torch.Generator().manual_seed(0))
    return pixels.to(torch.uint8)


@pytest.mark.parametrize("kind", TOWERS)
def test_a_base_gives_both_towers_and_a_checkpoint_of_ours_needs_it_no_more(
    bases: dict[str, str], kind: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = create_multimodal_model(
        4, base=bases[kind], fusion_dim=16, num_attention_heads=2, note_length=12, vocabulary=VOCABULARY,
        text_lora_rank=2, image_size=32,
    ).eval()  # fmt: skip
    assert model.text is not None
    classes = tuple(ClassInfo(class_id=name, label=name) for name in CLASS_NAMES)
    card = ModelCard(classes, "fr", VOCABULARY, Calibration(), {}, {})

    save_checkpoint(tmp_path / "model.pth", to_checkpoint(model, card))
    loaded = load_model(tmp_path / "model.pth")

    assert (model.vision.name, model.text.name) == (f"released:{bases[kind]}",) * 2
    with torch.inference_mode():
        expected = model(model.encode_photos(_photos()), model.encode_notes(NOTES)).logits_BC
    torch.testing.assert_close(loaded.predict_batch(_photos(), NOTES), expected)
    assert loaded.model.text is not model.text


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_stands_on_a_released_base(bases: dict[str, str], preset: PresetName) -> None:
    torch.manual_seed(0)
    model = create_multimodal_model(
        4, base=bases["florence2"], preset=preset, fusion_dim=16, num_attention_heads=2, num_queries=4,
        image_size=64, class_names=CLASS_NAMES, vocabulary=VOCABULARY,
    ).train()  # fmt: skip

    photos = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    model(model.encode_photos(photos), model.encode_notes(NOTES)).logits_BC.square().sum().backward()

    assert model.vision.grid == (8, 8)
    assert all(weight.grad is not None for weight in model.vision.parameters())


def test_a_base_without_a_text_tower_leaves_the_text_model(tmp_path: Path) -> None:
    save(tmp_path, "dinov2")

    assert towers_of(str(tmp_path), PACKAGED_VISION, PACKAGED_TEXT) == (f"released:{tmp_path}", PACKAGED_TEXT)


def test_a_text_model_that_was_asked_for_stands_beside_the_base(bases: dict[str, str]) -> None:
    assert towers_of(bases["clip"], PACKAGED_VISION, "none") == (f"released:{bases['clip']}", "none")


def test_without_a_base_the_towers_are_as_named() -> None:
    assert towers_of(None, "resnet50", "gpt2") == ("resnet50", "gpt2")


def test_a_base_and_another_backbone_exclude_each_other(bases: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="resnet50"):
        towers_of(bases["clip"], "resnet50", PACKAGED_TEXT)


def test_what_a_base_stands_for_may_be_named_as_well(bases: dict[str, str]) -> None:
    own = f"released:{bases['clip']}"

    assert towers_of(bases["clip"], own, own) == (own, own)


def test_a_base_out_of_reach_names_the_local_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")

    with pytest.raises(ConfigError) as refused:
        create_multimodal_model(4, base="microsoft/Florence-2-base")

    assert "--base /path/to/folder" in refused.value.fix


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        create_multimodal_model(4, base=str(tmp_path))


def test_the_listing_measures_a_base(bases: dict[str, str]) -> None:
    report = models(dataclasses.replace(ModelsConfig(), base=bases["florence2"], preset="cross-attention"))

    assert f"released:{bases['florence2']}" in report.summary()
