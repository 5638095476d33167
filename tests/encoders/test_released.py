"""Released checkpoints as a base: tiny random models of the same classes, saved as a user would have them."""

from __future__ import annotations

import json
import re
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from torch import nn

from plantset.core.errors import CheckpointError, ConfigError
from plantset.core.preprocess import PreprocessConfig
from plantset.encoders.registry import build_vision_encoder, build_vision_encoder_from, vision_architecture
from plantset.encoders.vision import VisionEncoder

_SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
_VISION = {**_SMALL, "image_size": 32, "patch_size": 8}
_TEXT = {**_SMALL, "vocab_size": 30, "max_position_embeddings": 16}
_DAVIT = {"depths": (1, 1), "embed_dim": (8, 16), "num_heads": (1, 2), "num_groups": (1, 2), "window_size": 4}
_BART = {
    "model_type": "bart",
    "d_model": 16,
    "vocab_size": 60,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 64,
}
_FLORENCE = {"vision_config": {**_DAVIT, "projection_dim": 16}, "text_config": _BART, "image_token_id": 59}
KINDS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "clip": ("CLIPModel", "CLIPConfig", {"vision_config": _VISION, "text_config": _TEXT, "projection_dim": 8}, 1),
    "siglip": ("SiglipModel", "SiglipConfig", {"vision_config": _VISION, "text_config": _TEXT}, 0),
    "dinov2": ("Dinov2Model", "Dinov2Config", _VISION, 1),
    "dinov3": ("DINOv3ViTModel", "DINOv3ViTConfig", {**_VISION, "num_register_tokens": 4}, 5),
    "flava": (
        "FlavaModel",
        "FlavaConfig",
        {"image_config": _VISION, "text_config": _TEXT, "multimodal_config": _SMALL, "hidden_size": 16},
        1,
    ),
    "florence2": ("Florence2ForConditionalGeneration", "Florence2Config", _FLORENCE, 0),
}
_PROCESSOR = {
    "size": {"shortest_edge": 40},
    "crop_size": {"height": 32, "width": 32},
    "do_center_crop": True,
    "resample": 3,
    "image_mean": [0.48, 0.46, 0.41],
    "image_std": [0.27, 0.26, 0.28],
}


def save(folder: Path, kind: str) -> nn.Module:
    model_class, config_class, values, _ = KINDS[kind]
    torch.manual_seed(0)
    model: nn.Module = getattr(transformers, model_class)(getattr(transformers, config_class)(**values)).eval()
    model.save_pretrained(folder)  # type: ignore[operator]
    (folder / "preprocessor_config.json").write_text(json.dumps(_PROCESSOR))
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_released_tower_gives_tokens_and_its_class_token_apart(tmp_path: Path, kind: str) -> None:
    save(tmp_path, kind)
    prefix = KINDS[kind][3]

    encoder = build_vision_encoder(f"released:{tmp_path}").eval()
    with torch.no_grad():
        seen = encoder(torch.randn(2, 3, 32, 32))

    assert (encoder.width, encoder.grid) == (16, (4, 4))
    assert seen.tokens_BNC.shape == (2, 16, 16)
    assert (0 if seen.prefix_BPC is None else seen.prefix_BPC.shape[1]) == prefix


@pytest.mark.parametrize("kind", KINDS)
def test_the_tokens_are_those_of_the_released_model(tmp_path: Path, kind: str) -> None:
    model: Any = save(tmp_path, kind)
    whole = {
        "clip": "vision_model", "siglip": "vision_model", "flava": "image_model", "florence2": "model.vision_tower",
    }  # fmt: skip
    reference = attrgetter(whole[kind])(model) if kind in whole else model
    pixels = torch.randn(2, 3, 32, 32)

    encoder = build_vision_encoder(f"released:{tmp_path}").eval()

    with torch.no_grad():
        expected = reference(pixels).last_hidden_state
        expected = expected.flatten(2).mT if kind == "florence2" else expected[:, KINDS[kind][3] :]
        torch.testing.assert_close(encoder(pixels).tokens_BNC, expected)


def test_photos_are_seen_as_the_checkpoints_own_processor_says(tmp_path: Path) -> None:
    save(tmp_path, "clip")

    preprocess = build_vision_encoder(f"released:{tmp_path}").preprocess

    assert preprocess == PreprocessConfig(32, 0.8, "bicubic", (0.48, 0.46, 0.41), (0.27, 0.26, 0.28))


@pytest.mark.parametrize("kind", KINDS)
def test_larger_photos_have_more_tokens_with_interpolated_positions(tmp_path: Path, kind: str) -> None:
    save(tmp_path, kind)

    assert build_vision_encoder(f"released:{tmp_path}", image_size_px=64).grid == (8, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(tmp_path: Path, kind: str) -> None:
    save(tmp_path, kind)
    encoder = build_vision_encoder(f"released:{tmp_path}").train()

    encoder.features(torch.randn(2, 3, 32, 32)).square().sum().backward()

    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_of_ours_rebuilds_the_tower_without_the_folder(tmp_path: Path, kind: str) -> None:
    save(tmp_path, kind)
    encoder = build_vision_encoder(f"released:{tmp_path}").eval()
    spec = json.loads(json.dumps(vision_architecture(encoder)))
    for file in tmp_path.iterdir():
        file.unlink()

    rebuilt = build_vision_encoder_from(spec, load_packaged=False).eval()
    rebuilt.load_state_dict(encoder.state_dict(), strict=True)

    pixels = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(rebuilt(pixels).tokens_BNC, encoder(pixels).tokens_BNC)


def _as_microsoft_names_it(name: str) -> str:
    """Return the name that a tensor has in microsoft/Florence-2-base, from the name in transformers' own layout."""
    name = name.removeprefix("model.")
    if not name.startswith("vision_tower."):
        return name.replace("language_model.", "language_model.model.", 1)
    name = re.sub(r"(convs\.\d+)\.conv\.", r"\1.proj.", name)
    name = re.sub(r"(spatial_block|channel_block)\.(conv[12])\.", r"\1.\2.fn.dw.", name)
    name = name.replace("spatial_block.norm1.", "spatial_block.window_attn.norm.")
    name = name.replace("channel_block.norm1.", "channel_block.channel_attn.norm.")
    name = re.sub(r"(window_attn|channel_attn)\.(qkv|proj)\.", r"\1.fn.\2.", name)
    return re.sub(r"ffn\.(fc[12])\.", r"ffn.fn.net.\1.", name).replace(".norm2.", ".ffn.norm.")


def test_florence_is_read_in_the_layout_of_its_authors_without_their_code(tmp_path: Path) -> None:
    save(tmp_path, "florence2")
    own = build_vision_encoder(f"released:{tmp_path}").eval()
    tensors = load_file(tmp_path / "model.safetensors")
    save_file(
        {_as_microsoft_names_it(name): tensor for name, tensor in tensors.items()}, tmp_path / "model.safetensors"
    )
    vision = {
        "model_type": "davit", "dim_embed": [8, 16], "depths": [1, 1], "num_heads": [1, 2], "num_groups": [1, 2],
        "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1], "patch_prenorm": [False, True],
        "window_size": 4, "drop_path_rate": 0.1, "projection_dim": 16, "enable_checkpoint": False,
        "image_pos_embed": {"type": "learned_abs_2d", "max_pos_embeddings": 50},
    }  # fmt: skip
    remote = {"AutoConfig": "configuration_florence2.Florence2Config"}  # there is no such file here
    config = {"model_type": "florence2", "auto_map": remote, "vision_config": vision}
    text = {**_BART, "model_type": "florence2_language"}
    (tmp_path / "config.json").write_text(json.dumps({**config, "text_config": text}))

    theirs = build_vision_encoder(f"released:{tmp_path}").eval()

    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(theirs(pixels).tokens_BNC, own(pixels).tokens_BNC)


def _first_gradient(encoder: VisionEncoder) -> torch.Tensor:
    torch.manual_seed(0)  # of dropped paths, and of DINOv3's jittered positions
    features = encoder.train().features(torch.ones(2, 3, 32, 32))
    return torch.autograd.grad(features.square().sum(), next(encoder.parameters()))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checkpointing_gives_the_same_gradients_or_says_that_it_cannot(tmp_path: Path, kind: str) -> None:
    save(tmp_path, kind)
    encoder = build_vision_encoder(f"released:{tmp_path}")
    expected = _first_gradient(encoder)

    if not encoder.model.tower.supports_gradient_checkpointing:
        with pytest.raises(ConfigError, match="checkpointing"):
            encoder.set_grad_checkpointing()
    else:
        encoder.set_grad_checkpointing()
        torch.testing.assert_close(_first_gradient(encoder), expected)


def test_without_a_network_the_error_names_the_local_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")

    with pytest.raises(ConfigError) as caught:
        build_vision_encoder("released:facebook/flava-full")

    assert "released:/path/to/folder" in caught.value.fix
    assert "--base /path/to/folder" in caught.value.fix


def test_a_checkpoint_of_another_kind_is_refused_with_the_kinds_there_are(tmp_path: Path) -> None:
    transformers.BertConfig(**_TEXT).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(_PROCESSOR))

    with pytest.raises(ConfigError, match="bert") as caught:
        build_vision_encoder(f"released:{tmp_path}")

    assert "siglip" in caught.value.fix


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    model: Any = save(tmp_path, "dinov2")
    kept = {name: tensor for name, tensor in model.state_dict().items() if "layer.1" not in name}
    model.save_pretrained(tmp_path, state_dict=kept)

    with pytest.raises(CheckpointError, match="missing"):
        build_vision_encoder(f"released:{tmp_path}")
