"""Photos or texts to vectors, many at a time, without gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from plantset.encoders.text import TextEncoder, pool_last, pool_mean
from plantset.encoders.vision import VisionEncoder, VisionTokens, normalize


def pool_photo(seen: VisionTokens) -> Tensor:
    """Average the tokens of each photo, (B, C); the usual feature of a CNN, and a good one of a transformer."""
    return seen.tokens_BNC.mean(dim=1)


@torch.no_grad()
def embed_photos(encoder: VisionEncoder, batches: Iterable[Tensor]) -> NDArray[np.float32]:
    """Turn photos into pooled features.

    Args:
        encoder: on any device; it is put in evaluation mode meanwhile.
        batches: uint8 (B, 3, H, W), resized as `encoder.preprocess` says.

    Returns:
        (N, C) in the order of the photos, not normalised.
    """
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    try:
        vectors = [
            pool_photo(encoder(normalize(batch.to(device), encoder.preprocess))).float().cpu() for batch in batches
        ]
    finally:
        encoder.train(was_training)
    return torch.cat([torch.empty(0, encoder.width), *vectors]).numpy()


@torch.no_grad()
def embed_texts(
    encoder: TextEncoder, texts: Sequence[str], *, length: int = 128, batch_size: int = 32
) -> NDArray[np.float32]:
    """Turn texts into unit vectors whose dot product is their similarity.

    Mean of the states for an encoder, the last state for a causal model.

    Args:
        encoder: on any device; it is put in evaluation mode meanwhile.
        texts: an empty one gives a zero vector.
        length: longest text in tokens, where the encoder reads as many; the rest is cut off.
        batch_size: texts at a time.

    Returns:
        (N, C) in the order of the texts.
    """
    device = next(encoder.parameters()).device
    pool = pool_last if encoder.causal else pool_mean
    was_training = encoder.training
    encoder.eval()
    vectors = torch.zeros(len(texts), encoder.width)
    # Texts of like length share a batch, whose padding is then cut off: padding would be most of the work.
    ids_NT, mask_NT = encoder.tokenizer.encode(texts, min(length, encoder.max_tokens or length))
    order = mask_NT.sum(dim=1).argsort(stable=True)
    try:
        for rows in torch.split(order, batch_size):
            longest = max(1, int(mask_NT[rows].sum(dim=1).max()))
            ids, mask = ids_NT[rows, :longest].to(device), mask_NT[rows, :longest].to(device)
            vectors[rows] = pool(encoder(ids, mask), mask).float().cpu()
    finally:
        encoder.train(was_training)
    return nn.functional.normalize(vectors, dim=1).numpy()
