"""The bank of descriptions that photos are compared with, as the text tower reads them.

Dimensions: M descriptions, W width of a text's vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from plantset.core.records import Record
from plantset.data.examples import caption_targets, with_distinct_texts
from plantset.models.multimodal import MultimodalModel

_MAX_TEXTS = 8  # of a class: where every photo has a text of its own, more cost minutes and say the same


class DescriptionBank:
    """Descriptions and the class of each.

    A tower that learns moves its vectors: they are computed again before each epoch, constants within it, since a text
    tower's gradient through hundreds of descriptions a step would cost more than all the rest. They are part of the
    saved state, so that a run stopped inside an epoch goes on with the same.

    Args:
        texts: (description, class) pairs; at least one.

    Attributes:
        vectors_MW: unit vectors, changed in place; labels_M: int64.
    """

    def __init__(self, model: MultimodalModel, texts: Sequence[tuple[str, int]]) -> None:
        self._model = model
        self._texts = [text for text, _ in texts]
        self.vectors_MW = model.encode_descriptions(self._texts)
        self.labels_M = torch.tensor([label for _, label in texts], device=self.vectors_MW.device)

    @property
    def moves(self) -> bool:
        """Whether the vectors change as the text tower learns."""
        return self._model.text is not None and not self._model.text.frozen

    def begin_epoch(self, epoch: int, seen: int) -> None:
        """Compute the vectors again, unless they cannot have changed or `seen` photos of this epoch are done."""
        if self.moves and epoch and not seen:
            self.vectors_MW.copy_(self._model.encode_descriptions(self._texts))

    def state(self) -> dict[str, Tensor]:
        """Return what a run needs to go on; nothing where the vectors never change."""
        return {"vectors": self.vectors_MW} if self.moves else {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""
        if "vectors" in state:
            self.vectors_MW.copy_(state["vectors"])


def bank_texts(records: Sequence[Record], class_names: Sequence[str]) -> list[tuple[str, int]]:
    """Return distinct (description, class) pairs of the training photos, a few of each class, in a stable order."""
    texts: dict[str, set[str]] = {}
    for record in with_distinct_texts(records):
        texts.setdefault(record.class_id, set()).update(caption_targets(record).values())
    pairs: list[tuple[str, int]] = []
    for label, name in enumerate(class_names):
        ordered = sorted(texts.get(name, ()))
        step = max(1, -(-len(ordered) // _MAX_TEXTS))
        pairs += [(text, label) for text in ordered[::step]]
    return pairs
