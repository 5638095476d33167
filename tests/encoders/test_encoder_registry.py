"""Names, files, checkpoints' memories; and what a user is told when weights cannot be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from plantset.core.errors import CheckpointError, ConfigError
from plantset.encoders.registry import (
    build_text_encoder,
    build_text_encoder_from,
    build_vision_encoder,
    build_vision_encoder_from,
    packaged_fingerprint,
    text_architecture,
    vision_architecture,
)
from tests.tiny_models import save_tiny_bert, save_tiny_gpt2


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A laptop on a plane: a port where nobody listens is the hub, and the cache is empty."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


def put_in_cache(cache: Path, repository: str, file: str, state: dict[str, torch.Tensor]) -> None:
    """Lay a file out as huggingface_hub's cache does."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0123")
    (folder / "snapshots" / "0123").mkdir(parents=True)
    save_file(state, folder / "snapshots" / "0123" / file)


def test_an_unknown_backbone_names_near_matches() -> None:
    with pytest.raises(ConfigError) as caught:
        build_vision_encoder("resnet5O")

    assert "resnet50" in caught.value.fix


def test_an_unknown_packaged_backbone_names_the_one_there_is() -> None:
    with pytest.raises(ConfigError) as caught:
        build_vision_encoder("timm-packaged:resnet50")

    assert "timm-packaged:tf_efficientnet_lite0" in caught.value.fix


def test_an_unknown_packaged_text_model_names_the_one_there_is() -> None:
    with pytest.raises(ConfigError) as caught:
        build_text_encoder("packaged:e5")

    assert "packaged:multilingual-e5-small" in caught.value.fix


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("way", ["timm-packaged:tf_efficientnet_lite0", "--vision-weights", "--no-pretrained"])
def test_vision_weights_out_of_reach_are_an_error_that_names_each_way_round(way: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_vision_encoder("resnet18")

    assert way in caught.value.fix


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("way", ["packaged:multilingual-e5-small", "save_pretrained"])
def test_text_weights_out_of_reach_are_an_error_that_names_each_way_round(way: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_text_encoder("microsoft/DialoGPT-medium")

    assert way in caught.value.fix


def test_weights_in_the_hubs_cache_need_no_network(no_network: Path) -> None:
    torch.manual_seed(0)
    saved = timm.create_model("resnet18", pretrained=False).state_dict()
    put_in_cache(no_network, "timm/resnet18.a1_in1k", "model.safetensors", saved)

    encoder = build_vision_encoder("resnet18", image_size_px=64)

    assert torch.equal(encoder.model.conv1.weight, saved["conv1.weight"])


def test_cached_weights_that_lack_a_tensor_are_refused(no_network: Path) -> None:
    saved = timm.create_model("resnet18", pretrained=False).state_dict()
    del saved["layer4.1.bn2.bias"]
    put_in_cache(no_network, "timm/resnet18.a1_in1k", "model.safetensors", saved)

    with pytest.raises(ConfigError, match=r"layer4\.1\.bn2\.bias"):
        build_vision_encoder("resnet18", image_size_px=64)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_local_file_of_weights_is_loaded_and_its_classifier_ignored(tmp_path: Path, suffix: str) -> None:
    saved = timm.create_model("resnet18", pretrained=False, num_classes=38).state_dict()
    path = tmp_path / f"mine.{suffix}"
    save_file(saved, path) if suffix == "safetensors" else torch.save({"state_dict": saved}, path)

    encoder = build_vision_encoder("resnet18", weights_path=path, image_size_px=64)

    assert torch.equal(encoder.model.layer4[1].conv2.weight, saved["layer4.1.conv2.weight"])


def test_a_local_vit_trained_at_another_size_keeps_its_class_position_and_grows_its_grid(tmp_path: Path) -> None:
    saved = timm.create_model("vit_tiny_patch16_224", pretrained=False).state_dict()
    torch.save(saved, tmp_path / "vit.pth")

    encoder = build_vision_encoder("vit_tiny_patch16_224", weights_path=tmp_path / "vit.pth", image_size_px=256)

    assert encoder.model.pos_embed.shape == (1, 257, 192)
    torch.testing.assert_close(encoder.model.pos_embed[:, 0], saved["pos_embed"][:, 0])


def test_a_local_file_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet18", pretrained=False).state_dict(), tmp_path / "r18.pth")

    with pytest.raises(CheckpointError, match=r"r18\.pth"):
        build_vision_encoder("resnet50", weights_path=tmp_path / "r18.pth", image_size_px=64)


def test_a_local_file_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    saved = timm.create_model("resnet18", pretrained=False).state_dict()
    del saved["layer1.0.conv1.weight"]
    torch.save(saved, tmp_path / "part.pth")

    with pytest.raises(CheckpointError, match=r"layer1\.0\.conv1\.weight"):
        build_vision_encoder("resnet18", weights_path=tmp_path / "part.pth", image_size_px=64)


def test_a_local_file_that_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.pth").write_text("<html>404</html>")

    with pytest.raises(CheckpointError, match=r"page\.pth"):
        build_vision_encoder("resnet18", weights_path=tmp_path / "page.pth", image_size_px=64)


def test_a_local_file_that_runs_code_when_unpickled_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"conv1.weight": Path("x")}}, tmp_path / "odd.pth")

    with pytest.raises(CheckpointError, match=r"odd\.pth"):
        build_vision_encoder("resnet18", weights_path=tmp_path / "odd.pth", image_size_px=64)


def test_an_absent_file_of_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent\.pth"):
        build_vision_encoder("resnet18", weights_path=tmp_path / "absent.pth")


@pytest.mark.parametrize(("name", "size"), [("resnet18", 64), ("vit_tiny_patch16_224", 64), ("convnext_atto", 64)])
def test_a_vision_tower_is_rebuilt_from_json_and_sees_the_same(name: str, size: int) -> None:
    original = build_vision_encoder(name, pretrained=False, image_size_px=size).eval()
    remembered = json.loads(json.dumps(vision_architecture(original)))
    pixels = torch.randn(1, 3, size, size)

    rebuilt = build_vision_encoder_from(remembered).eval()
    rebuilt.load_state_dict(original.state_dict(), strict=True)

    assert torch.equal(rebuilt(pixels).tokens_BNC, original(pixels).tokens_BNC)
    assert rebuilt.preprocess == original.preprocess


@pytest.mark.parametrize("save", [save_tiny_bert, save_tiny_gpt2])
def test_a_text_tower_is_rebuilt_from_json_without_its_folder(save, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    original = build_text_encoder(str(save(tmp_path / "e5-tiny"))).eval()
    remembered = json.loads(json.dumps(text_architecture(original)))
    (tmp_path / "e5-tiny").rename(tmp_path / "gone")
    batch = original.tokenizer.encode(["Des taches brunes.", ""], 24)

    rebuilt = build_text_encoder_from(remembered).eval()
    rebuilt.load_state_dict(original.state_dict(), strict=True)

    again = rebuilt.tokenizer.encode(["Des taches brunes.", ""], 24)
    assert torch.equal(again[0], batch[0])
    assert torch.equal(rebuilt(*again), original(*batch))
    assert rebuilt.causal is original.causal


def test_an_e5_folder_gets_its_prefix(tmp_path: Path) -> None:
    encoder = build_text_encoder(str(save_tiny_bert(tmp_path / "multilingual-e5-tiny")))

    assert encoder.tokenizer.prefix == "passage: "


def test_a_text_folder_without_pretrained_draws_other_weights(tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "bert")
    torch.manual_seed(1)

    random = build_text_encoder(str(folder), pretrained=False)

    saved = build_text_encoder(str(folder))
    assert not torch.equal(
        random.model.embeddings.word_embeddings.weight, saved.model.embeddings.word_embeddings.weight
    )


def test_a_text_folder_whose_weights_lack_a_layer_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = save_tiny_bert(tmp_path / "bert")
    state = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in state.items() if "layer.1.output" not in key}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(CheckpointError, match=r"layer\.1\.output"):
        build_text_encoder(str(folder))


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))

    with pytest.raises(ConfigError, match="t5"):
        build_text_encoder(str(tmp_path))


def test_an_empty_folder_is_no_text_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        build_text_encoder(str(tmp_path))

    assert "save_pretrained" in caught.value.fix


def test_a_fingerprint_is_asked_of_packaged_weights_only() -> None:
    with pytest.raises(ConfigError, match="resnet50"):
        packaged_fingerprint("resnet50")
