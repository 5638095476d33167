"""Fusion over token sequences: empty notes, padding, neighbours, order."""

from __future__ import annotations

import pytest
import torch

from plantset.models.config import FusionName, ModelConfig
from plantset.models.fusion import CrossAttentionFusion, EncoderFusion, Fused, Fusion, build_fusion

IMAGE, NOTE, WIDTH = 5, 6, 16


@pytest.fixture(params=["cross-attention", "flava"])
def fusion(request: pytest.FixtureRequest) -> Fusion:
    return _build(request.param)


def _build(name: FusionName, heads: int = 4) -> Fusion:
    torch.manual_seed(0)
    return build_fusion(ModelConfig(3, fusion_dim=WIDTH, num_attention_heads=heads, fusion=name)).eval()


def _inputs(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(batch, IMAGE, WIDTH, generator=generator)
    note = torch.randn(batch, NOTE, WIDTH, generator=generator)
    mask = torch.arange(NOTE)[None, :] < torch.tensor([6, 3, 1])[:batch, None]
    return image, note, mask


def _assert_same(left: Fused, right: Fused) -> None:
    torch.testing.assert_close(left.image_BND, right.image_BND, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(left.note_BTD[:, 0], right.note_BTD[:, 0], rtol=1e-5, atol=1e-6)


def test_a_note_of_padding_alone_is_no_note(fusion: Fusion) -> None:
    image, note, mask = _inputs()

    padded = fusion(image, note, torch.zeros_like(mask))

    _assert_same(padded, fusion(image, None, None))


def test_a_real_note_changes_the_image_tokens(fusion: Fusion) -> None:
    image, note, mask = _inputs()

    assert (fusion(image, note, mask).image_BND - fusion(image, None, None).image_BND).abs().max() > 1e-2


def test_each_image_token_reads_the_note_by_itself(fusion: Fusion) -> None:
    image, note, mask = _inputs(1)
    shuffled = torch.tensor([3, 0, 4, 2, 1])

    moved = fusion(image[:, shuffled], note, mask).image_BND

    torch.testing.assert_close(moved, fusion(image, note, mask).image_BND[:, shuffled], rtol=1e-5, atol=1e-6)


def test_longer_padding_changes_nothing(fusion: Fusion) -> None:
    image, note, mask = _inputs()
    longer_note = torch.cat([note, torch.randn(3, 9, WIDTH)], dim=1)
    longer_mask = torch.cat([mask, torch.zeros(3, 9, dtype=torch.bool)], dim=1)

    _assert_same(fusion(image, longer_note, longer_mask), fusion(image, note, mask))


def test_a_photos_neighbours_in_the_batch_do_not_matter(fusion: Fusion) -> None:
    image, note, mask = _inputs()

    alone = fusion(image[1:2], note[1:2], mask[1:2])

    torch.testing.assert_close(alone.image_BND, fusion(image, note, mask).image_BND[1:2], rtol=1e-5, atol=1e-6)


def test_no_layers_leave_both_sequences_as_they_are() -> None:
    image, note, mask = _inputs()

    fused = CrossAttentionFusion(WIDTH, 4, 0)(image, note, mask)

    assert torch.equal(fused.image_BND, image)
    assert torch.equal(fused.note_BTD[:, 1:], note)


def test_the_no_note_token_is_always_counted_as_real(fusion: Fusion) -> None:
    image, note, mask = _inputs()

    fused = fusion(image, note, mask)

    assert fused.note_mask_BT.sum(dim=1).tolist() == [7, 4, 2]


@pytest.mark.parametrize("name", ["cross-attention", "flava", "none"])
def test_heads_need_not_divide_the_width(name: FusionName) -> None:
    image, note, mask = _inputs()

    fused = _build(name, heads=5)(image, note, mask)

    assert fused.image_BND.shape == image.shape


def test_without_fusion_a_note_changes_no_image_token() -> None:
    image, note, mask = _inputs()

    fused = _build("none")(image, note, mask)

    assert torch.equal(fused.image_BND, image)
    assert torch.equal(fused.note_BTD[:, 1:], note)


@torch.no_grad()
def test_the_encoder_is_flavas_multimodal_model() -> None:
    from transformers.models.flava.configuration_flava import FlavaMultimodalConfig
    from transformers.models.flava.modeling_flava import FlavaMultimodalModel

    ours = _build("flava")
    assert isinstance(ours, EncoderFusion)
    config = FlavaMultimodalConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        layer_norm_eps=1e-5,
        attn_implementation="eager",
    )
    theirs = FlavaMultimodalModel(config, add_pooling_layer=False).eval()
    theirs.load_state_dict(_as_flava(ours))
    image, note, mask = _inputs()
    no_note = (ours.no_note + ours.note_kind).expand(3, 1, -1)
    states = torch.cat([image + ours.image_kind, no_note, note + ours.note_kind], dim=1)
    real = torch.cat([torch.ones(3, 2 + IMAGE, dtype=torch.bool), mask], dim=1)

    expected = theirs(states, attention_mask=real.long()).last_hidden_state

    fused = ours(image, note, mask)
    assert fused.summary_BD is not None
    torch.testing.assert_close(fused.summary_BD, expected[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fused.image_BND, expected[:, 1 : 1 + IMAGE], rtol=1e-4, atol=1e-5)


def _as_flava(fusion: EncoderFusion) -> dict[str, torch.Tensor]:
    """Return the encoder's weights under the names of the released model."""
    tensors = {"cls_token": fusion.summary[None, None], "layernorm.weight": fusion.output_norm.weight}
    tensors["layernorm.bias"] = fusion.output_norm.bias
    renamed = {
        "attention_norm": "layernorm_before",
        "ffn_norm": "layernorm_after",
        "attention.query": "attention.attention.query",
        "attention.output": "attention.output.dense",
        "ffn.0": "intermediate.dense",
        "ffn.2": "output.dense",
    }
    for index, layer in enumerate(fusion.layers):
        state, there = layer.state_dict(), f"encoder.layer.{index}"
        for kind in ("weight", "bias"):
            for mine, name in renamed.items():
                tensors[f"{there}.{name}.{kind}"] = state[f"{mine}.{kind}"]
            key, value = state[f"attention.key_value.{kind}"].chunk(2)
            tensors[f"{there}.attention.attention.key.{kind}"] = key
            tensors[f"{there}.attention.attention.value.{kind}"] = value
    return tensors
