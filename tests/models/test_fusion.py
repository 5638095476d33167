"""Fusion over token sequences: empty notes, padding, neighbours, order."""

from __future__ import annotations

import pytest
import torch

from plantset.models.fusion import CrossAttentionFusion, Fused

IMAGE, NOTE, WIDTH = 5, 6, 16


@pytest.fixture
def fusion() -> CrossAttentionFusion:
    torch.manual_seed(0)
    return CrossAttentionFusion(WIDTH, 4, 2).eval()


def _inputs(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(batch, IMAGE, WIDTH, generator=generator)
    note = torch.randn(batch, NOTE, WIDTH, generator=generator)
    mask = torch.arange(NOTE)[None, :] < torch.tensor([6, 3, 1])[:batch, None]
    return image, note, mask


def _assert_same(left: Fused, right: Fused) -> None:
    torch.testing.assert_close(left.image_BND, right.image_BND, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(left.note_BTD[:, 0], right.note_BTD[:, 0], rtol=1e-5, atol=1e-6)


def test_a_note_of_padding_alone_is_no_note(fusion: CrossAttentionFusion) -> None:
    image, note, mask = _inputs()

    padded = fusion(image, note, torch.zeros_like(mask))

    _assert_same(padded, fusion(image, None, None))


def test_a_real_note_changes_the_image_tokens(fusion: CrossAttentionFusion) -> None:
    image, note, mask = _inputs()

    assert (fusion(image, note, mask).image_BND - fusion(image, None, None).image_BND).abs().max() > 1e-2


def test_each_image_token_reads_the_note_by_itself(fusion: CrossAttentionFusion) -> None:
    image, note, mask = _inputs(1)
    shuffled = torch.tensor([3, 0, 4, 2, 1])

    moved = fusion(image[:, shuffled], note, mask).image_BND

    torch.testing.assert_close(moved, fusion(image, note, mask).image_BND[:, shuffled], rtol=1e-5, atol=1e-6)


def test_longer_padding_changes_nothing(fusion: CrossAttentionFusion) -> None:
    image, note, mask = _inputs()
    longer_note = torch.cat([note, torch.randn(3, 9, WIDTH)], dim=1)
    longer_mask = torch.cat([mask, torch.zeros(3, 9, dtype=torch.bool)], dim=1)

    _assert_same(fusion(image, longer_note, longer_mask), fusion(image, note, mask))


def test_a_photos_neighbours_in_the_batch_do_not_matter(fusion: CrossAttentionFusion) -> None:
    image, note, mask = _inputs()

    alone = fusion(image[1:2], note[1:2], mask[1:2])

    torch.testing.assert_close(alone.image_BND, fusion(image, note, mask).image_BND[1:2], rtol=1e-5, atol=1e-6)


def test_no_layers_leave_both_sequences_as_they_are() -> None:
    image, note, mask = _inputs()

    fused = CrossAttentionFusion(WIDTH, 4, 0)(image, note, mask)

    assert torch.equal(fused.image_BND, image)
    assert torch.equal(fused.note_BTD[:, 1:], note)


def test_the_no_note_token_is_always_counted_as_real(fusion: CrossAttentionFusion) -> None:
    image, note, mask = _inputs()

    fused = fusion(image, note, mask)

    assert fused.note_mask_BT.sum(dim=1).tolist() == [7, 4, 2]
