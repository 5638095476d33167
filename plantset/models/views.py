"""One photo seen several ways: what test-time augmentation asks a loaded model, and how it averages.

Dimensions: B photos, H W pixels, K tokens, C classes, F classifier features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FLIPS: tuple[tuple[int, ...], ...] = ((2,), (1,), (1, 2))  # left-right, up-down, both: a leaf has no right way up


class AskedModel(Protocol):
    """What asking needs of a model; `plantset.models.load.LoadedModel` gives it."""

    def encode_photos(self, pixels_BHWC: Tensor) -> Tensor:
        """Return the vision tower's tokens of uint8 photos."""

    def answer_photos(self, tokens_BKC: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits, classifier features) of the photos alone."""

    def predict_tokens(self, tokens_BKC: Tensor | None, notes: Sequence[str | None] | None) -> Tensor:
        """Return logits of the photos with their notes."""


@dataclass(frozen=True)
class PhotoAnswer:
    """What the model says of some photos.

    Attributes:
        tokens_BKC: of the photos as they are.
        logits_BC: with the note, if there is one; logits_alone_BC: without; single_logits_BC: without, from the photo
            as it is.
        features_BF: what the classifier reads of the photos as they are, alone.
    """

    tokens_BKC: Tensor
    logits_BC: NDArray[np.float32]
    logits_alone_BC: NDArray[np.float32]
    single_logits_BC: NDArray[np.float32]
    features_BF: NDArray[np.float32]


def ask(model: AskedModel, pixels_BHWC: Tensor, note: str = "", *, tta: bool = False) -> PhotoAnswer:
    """Ask a model about photos, one note for all; with `tta` logits are means over four flips."""
    tokens = model.encode_photos(pixels_BHWC)
    first = _ask_tokens(model, tokens, note)
    answers = [first]
    if tta:
        answers += [_ask_tokens(model, model.encode_photos(torch.flip(pixels_BHWC, dims)), note) for dims in _FLIPS]
    _, single, features = first
    with_note, alone, _ = (torch.stack(parts).mean(dim=0).numpy() for parts in zip(*answers, strict=True))
    return PhotoAnswer(tokens, with_note, alone, single.numpy(), features.numpy())


def _ask_tokens(model: AskedModel, tokens_BKC: Tensor, note: str) -> tuple[Tensor, Tensor, Tensor]:
    alone, features = model.answer_photos(tokens_BKC)
    logits = model.predict_tokens(tokens_BKC, [note] * len(tokens_BKC)) if note else alone
    return logits, alone, features
