"""Many photos or texts to vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from plantset.encoders.embed import embed_photos, embed_texts
from plantset.encoders.registry import build_text_encoder, build_vision_encoder
from tests.tiny_models import SENTENCES, save_tiny_bert, save_tiny_gpt2


def test_the_batch_size_changes_no_photo_vector() -> None:
    encoder = build_vision_encoder("resnet18", pretrained=False, image_size_px=64)
    photos = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8)

    together = embed_photos(encoder, [photos])

    np.testing.assert_allclose(embed_photos(encoder, photos.split(2)), together, rtol=1e-4, atol=1e-5)
    assert together.shape == (5, 512)


def test_no_photos_give_no_vectors() -> None:
    encoder = build_vision_encoder("resnet18", pretrained=False, image_size_px=64)

    assert embed_photos(encoder, []).shape == (0, 512)


def test_embedding_leaves_the_mode_as_it_was() -> None:
    encoder = build_vision_encoder("resnet18", pretrained=False, image_size_px=64).train()
    statistics = encoder.model.bn1.running_mean.clone()

    embed_photos(encoder, [torch.zeros(2, 3, 64, 64, dtype=torch.uint8)])

    assert encoder.training
    assert torch.equal(encoder.model.bn1.running_mean, statistics)


def test_texts_keep_their_order_and_their_batch_changes_nothing(tmp_path: Path) -> None:
    encoder = build_text_encoder(str(save_tiny_bert(tmp_path)))
    one_by_one = np.concatenate([embed_texts(encoder, [text]) for text in SENTENCES])

    together = embed_texts(encoder, SENTENCES, batch_size=3)

    np.testing.assert_allclose(together, one_by_one, atol=1e-5)


def test_text_vectors_have_length_one_and_an_empty_text_none(tmp_path: Path) -> None:
    encoder = build_text_encoder(str(save_tiny_gpt2(tmp_path)))

    lengths = np.linalg.norm(embed_texts(encoder, ["Feuille saine.", "", "a"]), axis=1)

    np.testing.assert_allclose(lengths, [1, 0, 1], atol=1e-6)
