"""Adapters on a text tower: where they stand, what they compute, what learns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from plantset.core.errors import ConfigError
from plantset.encoders.lora import add_adapters
from plantset.encoders.registry import build_text_encoder, build_text_encoder_from, text_architecture
from plantset.encoders.text import TextEncoder, is_adapter
from tests.encoders.test_text_encoder import FAMILIES, NOTE, SAVERS

RANK = 3
Tower = Callable[[str], TextEncoder]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    saved: dict[str, str] = {}

    def get(name: str) -> str:
        if name not in saved:
            saved[name] = str(SAVERS[name](tmp_path_factory.mktemp(name)))
        return saved[name]

    return get


Folder = Callable[[str], str]


def _states(encoder: TextEncoder) -> torch.Tensor:
    with torch.no_grad():
        states: torch.Tensor = encoder.eval()(*encoder.tokenizer.encode([NOTE, ""], 24))
    return states


def _nudged(encoder: TextEncoder) -> TextEncoder:
    """Move the adapters away from their start, where they say nothing."""
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if is_adapter(name):
                weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    return encoder


@pytest.mark.parametrize("name", FAMILIES)
def test_fresh_adapters_change_no_state(folder: Folder, name: str) -> None:
    plain = build_text_encoder(folder(name))

    assert torch.equal(_states(add_adapters(build_text_encoder(folder(name)), RANK)), _states(plain))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_gradient_reaches_every_adapter_and_no_weight_of_the_tower(folder: Folder, name: str) -> None:
    encoder = _nudged(add_adapters(build_text_encoder(folder(name)), RANK)).train()

    encoder(*encoder.tokenizer.encode([NOTE, "a leaf"], 24)).square().sum().backward()

    touched = {name for name, weight in encoder.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert touched == {name for name, _ in encoder.named_parameters() if is_adapter(name)}
    assert len(touched) > 0


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("bert", {"query", "key", "value", "dense"}),
        ("deberta", {"query_proj", "key_proj", "value_proj", "dense"}),
        ("gpt2", {"c_attn", "c_proj"}),
        ("llama", {"q_proj", "k_proj", "v_proj", "o_proj"}),
    ],
)
def test_all_projections_of_attention_are_adapted_and_nothing_else(folder: Folder, name: str, layers: set[str]) -> None:
    encoder = add_adapters(build_text_encoder(folder(name)), RANK)

    adapted = [key.partition(".lora_A.")[0] for key in encoder.state_dict() if ".lora_A." in key]

    assert {key.rpartition(".")[2] for key in adapted} == layers
    assert len(adapted) == 2 * len(layers)  # of two transformer layers
    assert not any("mlp" in key or "intermediate" in key for key in adapted)


def test_an_adapted_layer_is_the_papers_equation(folder: Folder) -> None:
    encoder = _nudged(add_adapters(build_text_encoder(folder("bert")), RANK)).eval()
    layer = encoder.model.encoder.layer[0].attention.self.query
    inputs, weights = torch.randn(5, layer.in_features), dict(layer.named_parameters())
    down, up = weights["lora_A.default.weight"], weights["lora_B.default.weight"]

    expected = nn.functional.linear(inputs, weights["base_layer.weight"], weights["base_layer.bias"])
    expected = expected + 2.0 * inputs @ down.T @ up.T

    torch.testing.assert_close(layer(inputs), expected)


def test_a_tower_with_adapters_is_frozen_and_unfrozen_with_its_own_weights_at_rest(folder: Folder) -> None:
    encoder = add_adapters(build_text_encoder(folder("bert")), RANK)
    learning = {name for name, weight in encoder.named_parameters() if weight.requires_grad}

    frozen = [weight.requires_grad for weight in encoder.freeze().parameters()]
    encoder.unfreeze()

    assert not any(frozen)
    assert {name for name, weight in encoder.named_parameters() if weight.requires_grad} == learning
    assert all(map(is_adapter, learning))


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_tower_with_adapters_is_rebuilt_from_json_without_its_folder(folder: Folder, name: str) -> None:
    encoder = _nudged(add_adapters(build_text_encoder(folder(name)), RANK))
    spec = json.loads(json.dumps(text_architecture(encoder)))

    rebuilt = build_text_encoder_from({**spec, "name": "no/such-folder"}, load_packaged=False)
    rebuilt.load_state_dict(encoder.state_dict(), strict=True)

    assert rebuilt.lora_rank == RANK
    assert torch.equal(_states(rebuilt), _states(encoder))


def test_gradient_checkpointing_changes_no_gradient_of_an_adapter(folder: Folder) -> None:
    gradients = []
    for enabled in (False, True):
        encoder = _nudged(add_adapters(build_text_encoder(folder("bert")), RANK)).eval()
        encoder.set_grad_checkpointing(enabled)
        encoder.train()
        for module in encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        encoder(*encoder.tokenizer.encode([NOTE], 24)).square().sum().backward()
        gradients.append([weight.grad for name, weight in encoder.named_parameters() if is_adapter(name)])

    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_missing_peft_is_named_with_its_command(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)

    with pytest.raises(ConfigError, match="peft") as refused:
        add_adapters(build_text_encoder(folder("bert")), RANK)

    assert "plantset[lora]" in refused.value.fix


def test_a_tower_without_attention_layers_is_refused_by_name(folder: Folder) -> None:
    encoder = build_text_encoder(folder("bert"))
    encoder.model = nn.Sequential(nn.Linear(2, 2))

    with pytest.raises(ConfigError, match="attention"):
        add_adapters(encoder, RANK)
