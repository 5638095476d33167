"""The text tower of a released checkpoint: tiny random models of the same classes, saved with a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from plantset.core.errors import ConfigError
from plantset.encoders.embed import embed_texts
from plantset.encoders.registry import build_text_encoder, build_text_encoder_from, text_architecture
from plantset.encoders.released_text import has_text_tower
from plantset.encoders.text import TextEncoder
from tests.encoders.test_released import KINDS, save
from tests.tiny_models import save_tiny_bert, save_tiny_roberta

NOTE = "Les feuilles portent des taches brunes."
# kind -> where transformers has the tower in the whole model, and whether a state sees what comes after it
TOWERS = {
    "clip": ("text_model", True),
    "siglip": ("text_model", False),
    "flava": ("text_model", False),
    "florence2": ("model.language_model.encoder", False),
}
_WORDS = 400  # more than the tiny tokenizers have


def save_with_tokenizer(folder: Path, kind: str) -> nn.Module:
    """Save a tiny checkpoint of this kind with a tokenizer that fits it."""
    save_tokenizer = save_tiny_bert if kind == "flava" else save_tiny_roberta
    save_tokenizer(folder)
    for file in ("config.json", "model.safetensors"):
        (folder / file).unlink()
    config = KINDS[kind][2].get("text_config")
    before = config["vocab_size"]
    config["vocab_size"] = _WORDS
    try:
        return save(folder, kind)
    finally:
        config["vocab_size"] = before


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, TextEncoder]]:
    saved: dict[str, tuple[Any, TextEncoder]] = {}

    def get(kind: str) -> tuple[Any, TextEncoder]:
        if kind not in saved:
            folder = tmp_path_factory.mktemp(kind)
            model = save_with_tokenizer(folder, kind)
            saved[kind] = model, build_text_encoder(f"released:{folder}").eval()
        return saved[kind]

    return get


Tower = Callable[[str], tuple[Any, TextEncoder]]


@pytest.mark.parametrize("kind", TOWERS)
@torch.no_grad()
def test_states_are_those_of_the_released_text_tower(tower: Tower, kind: str) -> None:
    model, encoder = tower(kind)
    ids, mask = encoder.tokenizer.encode([NOTE], 16)
    length = int(mask.sum())

    states = encoder(ids, mask)[:, :length]

    expected = attrgetter(TOWERS[kind][0])(model)(input_ids=ids[:, :length]).last_hidden_state
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", TOWERS)
@torch.no_grad()
def test_only_a_causal_tower_hides_what_comes_after(tower: Tower, kind: str) -> None:
    _, encoder = tower(kind)
    ids, mask = encoder.tokenizer.encode([NOTE * 3], 12)
    other = ids.clone()
    other[0, 10] = (other[0, 10] + 7) % 200 + 5

    same = torch.equal(encoder(ids, mask)[:, :9], encoder(other, mask)[:, :9])

    assert same == encoder.causal == TOWERS[kind][1]


@pytest.mark.parametrize("kind", TOWERS)
@torch.no_grad()
def test_longer_padding_changes_no_state_and_an_empty_note_is_zero(tower: Tower, kind: str) -> None:
    _, encoder = tower(kind)

    short, long = (encoder(*encoder.tokenizer.encode([NOTE[:9], ""], length)) for length in (12, 16))

    torch.testing.assert_close(long[:, :12], short, rtol=1e-4, atol=1e-5)
    assert not long[1].any()


@pytest.mark.parametrize("kind", TOWERS)
def test_every_parameter_of_the_text_tower_gets_a_gradient(tower: Tower, kind: str, tmp_path: Path) -> None:
    save_with_tokenizer(tmp_path, kind)
    encoder = build_text_encoder(f"released:{tmp_path}").eval()

    encoder(*encoder.tokenizer.encode([NOTE, "a"], 16)).square().sum().backward()

    without = [name for name, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()]
    # a key's bias moves all scores of a row alike, which softmax does not see
    assert [name for name in without if not name.endswith(("k_proj.bias", "key.bias"))] == []


@pytest.mark.parametrize("kind", TOWERS)
def test_a_checkpoint_of_ours_rebuilds_the_text_tower_without_the_folder(tower: Tower, kind: str) -> None:
    _, encoder = tower(kind)
    spec = json.loads(json.dumps(text_architecture(encoder)))

    rebuilt = build_text_encoder_from({**spec, "name": "released:no/such"}, load_packaged=False).eval()
    rebuilt.load_state_dict(encoder.state_dict(), strict=True)

    batch = encoder.tokenizer.encode([NOTE], 16)
    assert rebuilt.causal == encoder.causal
    with torch.no_grad():
        assert torch.equal(rebuilt(*batch), encoder(*batch))


def test_a_description_longer_than_the_tower_reads_is_cut(tower: Tower) -> None:
    _, encoder = tower("clip")
    assert encoder.max_tokens == 16

    vectors = embed_texts(encoder, [NOTE * 20])

    assert vectors.shape == (1, 16)


@pytest.mark.parametrize("kind", ["dinov2", "dinov3"])
def test_a_checkpoint_without_a_text_tower_is_told_apart(tmp_path: Path, kind: str) -> None:
    save(tmp_path, kind)

    assert not has_text_tower(str(tmp_path))
    with pytest.raises(ConfigError, match="no text encoder"):
        build_text_encoder(f"released:{tmp_path}")


def test_without_its_tokenizer_a_text_tower_is_not_used(tmp_path: Path) -> None:
    save(tmp_path, "clip")

    assert not has_text_tower(str(tmp_path))


def test_a_tokenizer_that_does_not_fit_the_model_is_refused_with_both_numbers(tmp_path: Path) -> None:
    save_tiny_roberta(tmp_path)  # its tokenizer writes more than thirty different ids
    transformers.CLIPModel(transformers.CLIPConfig(**KINDS["clip"][2])).save_pretrained(tmp_path)

    with pytest.raises(ConfigError, match="30 words"):
        build_text_encoder(f"released:{tmp_path}")


def test_a_tokenizer_with_too_many_words_beside_a_plain_text_model_is_refused(tmp_path: Path) -> None:
    save_tiny_roberta(tmp_path)
    config = transformers.RobertaConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.RobertaModel(config).save_pretrained(tmp_path)

    with pytest.raises(ConfigError, match="50 words"):
        build_text_encoder(str(tmp_path))
