"""A backbone cut in two computes what the whole one does, and only its second part learns."""

from __future__ import annotations

import pytest
import torch

from plantset.core.errors import ConfigError
from plantset.encoders.registry import build_vision_encoder
from plantset.encoders.stages import StageCut
from plantset.encoders.vision import VisionEncoder

BACKBONES = ("tf_efficientnet_lite0", "resnet18", "convnext_atto", "vit_tiny_patch16_224")


def build(name: str) -> VisionEncoder:
    torch.manual_seed(0)
    return build_vision_encoder(name, pretrained=False, image_size_px=64).eval()


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("frozen_stages", [0, 2])
def test_both_parts_together_give_the_tokens_of_the_whole(name: str, frozen_stages: int) -> None:
    encoder = build(name)
    pixels = torch.randn(2, 3, 64, 64)
    whole = encoder(pixels)

    cut = StageCut(encoder, frozen_stages)

    parts = cut.trained_part(cut.frozen_part(pixels))
    assert torch.equal(parts.tokens_BNC, whole.tokens_BNC)
    assert parts.grid == whole.grid


@pytest.mark.parametrize("name", BACKBONES)
def test_every_parameter_that_may_learn_gets_a_gradient(name: str) -> None:
    encoder = build(name)
    cut = StageCut(encoder, 2)

    with torch.no_grad():
        features = cut.frozen_part(torch.randn(2, 3, 64, 64))
    cut.trained_part(features).tokens_BNC.square().sum().backward()

    silent = [name for name, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    assert silent == []


def test_a_frozen_tower_is_cut_after_its_last_stage() -> None:
    encoder = build("resnet18").freeze()
    pixels = torch.randn(2, 3, 64, 64)
    cut = StageCut(encoder)

    assert cut.is_cacheable
    assert torch.equal(cut.trained_part(cut.frozen_part(pixels)).tokens_BNC, encoder(pixels).tokens_BNC)


def test_more_stages_than_there_are_is_an_error() -> None:
    with pytest.raises(ConfigError, match="--freeze-stages"):
        StageCut(build("resnet18"), 9)


def test_a_family_that_cannot_be_cut_says_what_to_do() -> None:
    encoder = build_vision_encoder("vgg11", pretrained=False, image_size_px=64)

    with pytest.raises(ConfigError) as error:
        StageCut(encoder, 1)

    assert "--freeze-vision" in error.value.fix


def test_checkpointed_stages_keep_fewer_activations_and_give_the_same_gradients() -> None:
    gradients, kept_bytes = [], []
    for enabled in (False, True):
        encoder = build("resnet18")
        cut = StageCut(encoder, 1)
        cut.gradient_checkpointing = enabled
        features = cut.frozen_part(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))).detach()
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, saved=saved: saved.append(t.nbytes) or t, lambda t: t):
            tokens = cut.trained_part(features).tokens_BNC
        tokens.square().sum().backward()
        gradients.append([p.grad.clone() for p in encoder.parameters() if p.grad is not None])
        kept_bytes.append(sum(saved))

    assert all(torch.allclose(a, b) for a, b in zip(*gradients, strict=True))
    assert kept_bytes[1] < kept_bytes[0] / 2
