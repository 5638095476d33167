"""Any timm backbone: tokens, grid, freezing, normalisation."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import timm
import torch
from torch import nn

from plantset.core.errors import ConfigError
from plantset.core.preprocess import PreprocessConfig
from plantset.encoders.registry import build_vision_encoder
from plantset.encoders.vision import VisionEncoder, normalize

# name, photo size, width, rows, prefix tokens: as the papers and timm's model cards give them
BACKBONES = [
    ("resnet18", 64, 512, 2, 0),
    ("resnet50", 64, 2048, 2, 0),
    ("efficientnet_b4", 64, 1792, 2, 0),
    ("convnext_atto", 64, 320, 2, 0),
    ("swin_tiny_patch4_window7_224", 224, 768, 7, 0),
    ("vit_tiny_patch16_224", 224, 192, 14, 1),
    ("deit_tiny_distilled_patch16_224", 224, 192, 14, 2),
]

# more families: name, photo size, rows of tokens, prefix tokens; what patch size and total stride say
FAMILIES = [
    ("regnety_002", 64, 2, 0),
    ("mobilenetv3_small_050", 64, 2, 0),
    ("efficientvit_b0", 64, 2, 0),
    ("fastvit_t8", 64, 2, 0),
    ("edgenext_xx_small", 64, 2, 0),
    ("repvit_m0_9", 64, 2, 0),
    ("mobilevit_xxs", 64, 2, 0),
    ("poolformer_s12", 64, 2, 0),
    ("pvt_v2_b0", 64, 2, 0),
    ("densenet121", 64, 2, 0),
    ("swinv2_tiny_window8_256", 64, 2, 0),
    ("maxvit_pico_rw_256", 64, 2, 0),
    ("hiera_tiny_224", 224, 7, 0),
    ("eva02_tiny_patch14_224", 56, 4, 1),
    ("xcit_nano_12_p16_224", 64, 4, 1),
    ("vit_small_patch14_dinov2", 56, 4, 1),
    ("vit_small_patch16_dinov3", 64, 4, 5),
]


@pytest.mark.parametrize(("name", "size", "rows", "prefix"), FAMILIES)
def test_every_family_gives_its_tokens_by_the_same_face(name: str, size: int, rows: int, prefix: int) -> None:
    encoder = build(name, size)

    with torch.no_grad():
        seen = encoder(torch.randn(1, 3, size, size))

    assert seen.tokens_BNC.shape == (1, rows * rows, encoder.width)
    assert seen.grid == (rows, rows)
    assert (0 if seen.prefix_BPC is None else seen.prefix_BPC.shape[1]) == prefix


def build(name: str, size: int | None = None) -> VisionEncoder:
    torch.manual_seed(0)
    return build_vision_encoder(name, pretrained=False, image_size_px=size).eval()


@pytest.mark.parametrize(("name", "size", "width", "rows", "prefix"), BACKBONES)
def test_a_backbone_gives_a_grid_of_tokens_of_its_own_width(
    name: str, size: int, width: int, rows: int, prefix: int
) -> None:
    encoder = build(name, size)

    with torch.no_grad():
        seen = encoder(torch.randn(2, 3, size, size))

    assert encoder.width == width
    assert seen.tokens_BNC.shape == (2, rows * rows, width)
    assert seen.grid == encoder.grid == (rows, rows)
    assert (0 if seen.prefix_BPC is None else seen.prefix_BPC.shape[1]) == prefix


def test_vit_base_has_the_published_width_and_grid() -> None:
    with torch.device("meta"):
        encoder = build("vit_base_patch16_224")

    assert (encoder.width, encoder.grid, encoder.preprocess.image_size_px) == (768, (14, 14), 224)


def test_tokens_of_a_cnn_run_row_by_row_from_the_top_left() -> None:
    encoder = build("resnet18", 96)
    pixels = torch.randn(1, 3, 96, 96)

    with torch.no_grad():
        tokens = encoder(pixels).tokens_BNC
        feature_map = encoder.model.forward_features(pixels)

    torch.testing.assert_close(tokens[0, 3 * 1 + 2], feature_map[0, :, 1, 2])


def test_tokens_of_a_channels_last_backbone_run_row_by_row_from_the_top_left() -> None:
    encoder = build("swin_tiny_patch4_window7_224")
    pixels = torch.randn(1, 3, 224, 224)

    with torch.no_grad():
        tokens = encoder(pixels).tokens_BNC
        feature_map = encoder.model.forward_features(pixels)

    torch.testing.assert_close(tokens[0, 7 * 1 + 2], feature_map[0, 1, 2])


def test_tokens_of_resnet_average_to_timms_own_pooled_features() -> None:
    encoder = build("resnet18", 64)
    reference = timm.create_model("resnet18", pretrained=False, num_classes=0).eval()
    reference.load_state_dict(encoder.model.state_dict())
    pixels = torch.randn(2, 3, 64, 64)

    with torch.no_grad():
        pooled = encoder(pixels).tokens_BNC.mean(dim=1)

        torch.testing.assert_close(pooled, reference(pixels))


def test_the_class_token_is_the_feature_that_timm_pools() -> None:
    encoder = build("vit_tiny_patch16_224")
    reference = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0).eval()
    reference.load_state_dict(encoder.model.state_dict())
    pixels = torch.randn(1, 3, 224, 224)

    with torch.no_grad():
        prefix = encoder(pixels).prefix_BPC
        pooled = reference(pixels)

    assert prefix is not None
    torch.testing.assert_close(prefix[:, 0], pooled)


def test_a_vit_takes_384_pixels_though_trained_on_224() -> None:
    encoder = build("vit_tiny_patch16_224", 384)

    assert encoder.grid == (24, 24)
    assert encoder.preprocess.image_size_px == 384


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_every_parameter_of_a_backbone_gets_a_gradient_from_its_tokens(name: str) -> None:
    encoder = build(name).train()
    size = encoder.preprocess.image_size_px

    seen = encoder(torch.randn(2, 3, size, size))
    (seen.tokens_BNC.square().sum() + (0 if seen.prefix_BPC is None else seen.prefix_BPC.square().sum())).backward()

    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []


def test_a_frozen_tower_keeps_its_batch_norm_statistics_in_training() -> None:
    encoder = build("resnet18", 64).freeze()
    before = copy.deepcopy(encoder.state_dict())

    nn.Sequential(encoder).train()
    encoder(torch.randn(4, 3, 64, 64))

    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())


def test_a_frozen_tower_asks_for_no_gradient() -> None:
    encoder = build("resnet18", 64).freeze()

    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_an_unfrozen_tower_follows_its_parent_again() -> None:
    encoder = build("resnet18", 64).freeze().unfreeze()

    nn.Sequential(encoder).train()

    assert encoder.model.bn1.training
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_gradient_checkpointing_changes_no_gradient() -> None:
    encoder = build("vit_tiny_patch16_224", 64)
    pixels = torch.randn(1, 3, 64, 64)
    encoder(pixels).tokens_BNC.square().sum().backward()
    plain = encoder.model.blocks[0].attn.qkv.weight.grad.clone()
    encoder.zero_grad()

    encoder.set_grad_checkpointing()
    encoder.train()(pixels).tokens_BNC.square().sum().backward()

    torch.testing.assert_close(encoder.model.blocks[0].attn.qkv.weight.grad, plain)


def test_a_photo_smaller_than_one_patch_is_refused() -> None:
    with pytest.raises(ConfigError, match="10 px"):
        build("vit_tiny_patch16_224", 10)


@pytest.mark.parametrize("name", ["coat_tiny", "crossvit_tiny_240", "volo_d1_224"])
def test_a_backbone_without_a_grid_of_features_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        build(name)


def test_the_weights_own_preprocessing_is_read() -> None:
    preprocess = build("tf_efficientnet_lite0", 64).preprocess

    assert preprocess == PreprocessConfig(64, 0.875, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_normalisation_is_the_textbook_formula() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 3, 5, 7), dtype=np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = (pixels / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))

    got = normalize(torch.from_numpy(pixels), PreprocessConfig(7, 1.0, "bilinear", mean, std))

    np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)
    assert got.dtype == torch.float32


def test_the_layout_in_memory_changes_no_pixel() -> None:
    pixels = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)
    preprocess = PreprocessConfig(7, 1.0, "bilinear", (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))

    got = normalize(pixels.contiguous(memory_format=torch.channels_last), preprocess)

    assert torch.equal(got, normalize(pixels, preprocess))
    assert got.is_contiguous(memory_format=torch.channels_last)
