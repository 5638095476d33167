"""What a loader yields: one typed batch, photos or cached features, with notes and caption targets.

Dimensions: B batch, H and W pixels, C channels, T caption tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's worth of photos with all that may be asked of them.

    Attributes:
        indices_B: int64, position of each photo in the loader's records.
        pixels_BHWC: uint8 RGB, or None when `features_B` stands in for the photos.
        features_B: (B, …) float, the frozen part of the vision tower's output from the cache, or None.
        labels_B: int64 class index.
        notes: the grower's note for each photo, or None where there is none.
        note_labels_B: int64, the class that each note is about; -1 where there is none.
        caption_ids_BT: int64, prompt + text + end, padded with 0; all padding where a class has no text.
        weights_B: float32, 1 for a photo, 0 for the padding that keeps the last batch's shape.
        epoch: which pass over the photos it is of.
        other_labels_B: int64, the class that a photo is mixed with; None where no batch is mixed (`data.mixing`).
        other_shares_B: float32, that class's share of the target, at most a half; 0 for a photo that is whole.
    """

    indices_B: Tensor
    pixels_BHWC: Tensor | None
    features_B: Tensor | None
    labels_B: Tensor
    notes: tuple[str | None, ...]
    note_labels_B: Tensor
    caption_ids_BT: Tensor
    weights_B: Tensor
    epoch: int = 0
    other_labels_B: Tensor | None = None
    other_shares_B: Tensor | None = None

    def __len__(self) -> int:
        return self.labels_B.shape[0]

    @property
    def has_note(self) -> Tensor:
        """Return (B,) 1 for each photo with a note, 0 for the others and for padding."""
        return self.weights_B * (self.note_labels_B >= 0)

    @property
    def is_whole(self) -> Tensor:
        """Return (B,) 1 for each photo that a text can be about, 0 for mixtures and for padding."""
        return self.weights_B if self.other_shares_B is None else self.weights_B * (self.other_shares_B == 0)

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its tensors on `device`; the positions stay, they are for the host."""
        moved = self._each_tensor(lambda tensor: tensor.to(device, non_blocking=True))
        return dataclasses.replace(moved, indices_B=self.indices_B)

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory; DataLoader calls this when asked to pin."""
        return self._each_tensor(Tensor.pin_memory)

    def _each_tensor(self, change: Callable[[Tensor], Tensor]) -> Batch:
        fields = {spec.name: getattr(self, spec.name) for spec in dataclasses.fields(self)}
        changed: dict[str, Any] = {name: change(value) for name, value in fields.items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **changed)
