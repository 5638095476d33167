"""`plantset models`: counts against published figures and against the model itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from plantset.cli import main
from plantset.core.errors import ConfigError
from plantset.core.language import set_message_language
from plantset.models.build import count_parameters
from plantset.models.caption_choice import language_model_vocabulary
from plantset.models.config import ModelsConfig
from plantset.models.footprint import measure_footprint
from plantset.models.listing import models
from plantset.models.presets import PRESETS, PresetName
from tests.models.small import build
from tests.tiny_models import save_tiny_gpt2

SMALL = ModelsConfig(vision_backbone="test_resnet", text_model="none", num_classes=4, image_size=64, batch_size=4)


def test_resnet50_has_its_published_size_and_operations() -> None:
    found = measure_footprint(
        ModelsConfig(vision_backbone="resnet50", text_model="none", image_size=224, batch_size=1), "cross-attention"
    )

    # timm and torchvision publish 25.557 M parameters, 2.049 M of them the classifier, and 4.09 G multiply-adds
    assert found.parameters["vision"][0] == pytest.approx(23.508e6, rel=1e-3)
    assert found.part_flops["vision"] / 2 == pytest.approx(4.09e9, rel=0.01)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_parameters_are_those_of_the_model_that_is_built(tiny_bert: str, preset: PresetName) -> None:
    config = dataclasses.replace(SMALL, text_model=tiny_bert)
    model = build(
        tiny_bert, preset=preset, vision_dim=None, text_dim=None, fusion_dim=None, num_attention_heads=None,
        num_queries=None, text_length=None,
    )  # fmt: skip
    words = 4096 - (model.captioner.words.num_embeddings if model.captioner is not None else 4096)
    missing = words * model.config.fusion_dim  # the listing assumes the largest vocabulary

    total, trainable = measure_footprint(config, preset).total_parameters

    assert (total, trainable) == tuple(count + missing for count in count_parameters(model))


def test_each_photo_of_a_batch_costs_the_same_memory() -> None:
    used = [
        measure_footprint(dataclasses.replace(SMALL, batch_size=size), "cross-attention").training_bytes
        for size in (8, 16, 32)
    ]

    assert used[2] - used[1] == pytest.approx(2 * (used[1] - used[0]), rel=0.01)


def test_a_frozen_tower_keeps_no_activations_and_has_no_gradients() -> None:
    frozen = measure_footprint(dataclasses.replace(SMALL, freeze_vision=True), "cross-attention")
    trained = measure_footprint(SMALL, "cross-attention")

    assert frozen.parameters["vision"][1] == 0
    assert frozen.training_bytes < trained.training_bytes - 3 * 4 * trained.parameters["vision"][1]


def test_learned_queries_make_fewer_image_tokens_than_cells() -> None:
    config = dataclasses.replace(SMALL, image_size=160)

    assert measure_footprint(config, "cross-attention").image_tokens == 25
    assert measure_footprint(config, "qwen-vl").image_tokens == 16


def test_the_overview_has_a_line_for_each_preset() -> None:
    set_message_language("en")

    lines = models(SMALL).summary().splitlines()

    assert [line.split()[0] for line in lines if line.startswith(PRESETS)] == list(PRESETS)


def test_a_preset_is_shown_part_by_part_in_french() -> None:
    set_message_language("fr")

    page = models(dataclasses.replace(SMALL, preset="qwen-vl")).summary()

    assert "arXiv 2308.12966" in page
    assert "resampler, 16 jetons d'image" in page
    assert "align 25 % (connector, fusion, heads, captioner)" in page


def test_a_word_finds_backbones_with_their_size(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["models", "resnet50d", "--lang", "en"])

    assert status == 0
    assert "resnet50d  " in capsys.readouterr().out


def test_a_word_that_no_backbone_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="perceptron9"):
        models(ModelsConfig(search="perceptron9"))


def test_a_batch_of_no_photo_is_refused() -> None:
    with pytest.raises(ConfigError, match="--batch-size"):
        models(dataclasses.replace(SMALL, batch_size=0))


def test_adapters_are_all_that_learns_of_the_text_tower(tiny_bert: str) -> None:
    config = dataclasses.replace(SMALL, text_model=tiny_bert, text_lora_rank=2)

    found = measure_footprint(config, "cross-attention")

    assert found.parameters["text"][1] == 2 * 4 * (2 * 32 + 32 * 2)  # layers x projections x (A and B)


@pytest.mark.parametrize(
    ("batch_size", "said"), [(4, "a TPU v5e chip has 16.00 GiB\nit fits"), (1 << 20, "too much: give a smaller")]
)
def test_a_chip_that_is_not_there_can_be_asked_about(batch_size: int, said: str) -> None:
    set_message_language("en")
    config = dataclasses.replace(SMALL, preset="cross-attention", device="tpu-v5e", batch_size=batch_size)

    assert said in models(config).summary()


def test_a_language_model_that_writes_is_counted_once(tmp_path: Path) -> None:
    gpt2 = str(save_tiny_gpt2(tmp_path / "gpt2"))
    config = tmp_path / "gpt2" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"n_positions": 128', '"n_positions": 256'))
    model = build(
        gpt2, preset="qwen-vl", vision_dim=None, text_dim=None, fusion_dim=None, num_attention_heads=None,
        num_queries=None, text_length=None, vocabulary=language_model_vocabulary(gpt2),
    )  # fmt: skip

    found = measure_footprint(dataclasses.replace(SMALL, text_model=gpt2), "qwen-vl")

    assert found.config.captioner == "prefix"
    assert found.total_parameters == count_parameters(model)
    assert found.training_bytes > 4 * found.total_parameters[0]
