"""One batch -> named losses -> one number to minimise.

Dimensions: B batch, K and R chosen rows, C classes, M descriptions in the bank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from plantset.data.batch import Batch
from plantset.models.multimodal import ModelOutput, MultimodalModel, NoteStates
from plantset.models.objectives import ClassificationLoss, contrastive_loss, matching_loss

EncodeNotes = Callable[[Sequence[str | None]], NoteStates | None]

# Both cost about as much per photo as the fusion itself and learn from few: shares of the batch that are asked.
_CAPTION_ROWS_RATIO = 0.25
_NOTE_ONLY_ROWS_RATIO = 0.25


@dataclass(frozen=True)
class Objective:
    """The losses and their weights.

    Attributes:
        bank_MW: the text tower's vectors of the descriptions; None without a text tower.
        bank_labels_M: int64, the class of each description.
        note_only_weight: of classifying from the note alone, so that "note only" is a real answer and not noise.
    """

    classification: ClassificationLoss
    bank_MW: Tensor | None
    bank_labels_M: Tensor | None
    caption_weight: float
    contrastive_weight: float
    matching_weight: float
    note_only_weight: float = 0.2


def training_losses(
    model: MultimodalModel, batch: Batch, objective: Objective, encode_notes: EncodeNotes
) -> dict[str, Tensor]:
    """Return each weighted loss by name; their sum is what is minimised.

    Args:
        encode_notes: the model's own, or a lookup of the same states when the text tower is frozen.
    """
    image = model.encode_photos(batch.pixels_BHWC, batch.features_B)
    note = encode_notes(batch.notes)
    output = model(image, note)
    losses = {"class": objective.classification(output.logits_BC, batch.labels_B, batch.weights_B)}
    losses.update(_description_losses(model, batch, objective, output))
    if note is not None:
        losses.update(_note_losses(model, batch, objective, output, note))
    return losses


def _description_losses(
    model: MultimodalModel, batch: Batch, objective: Objective, output: ModelOutput
) -> dict[str, Tensor]:
    losses: dict[str, Tensor] = {}
    if model.captioner is not None and objective.caption_weight > 0:
        rows = slice(0, max(1, round(len(batch) * _CAPTION_ROWS_RATIO)))  # the order is random already
        is_photo_R1 = batch.weights_B[rows, None] > 0  # a padding photo's caption becomes padding, which counts nothing
        total, words = model.captioner.loss(batch.caption_ids_BT[rows] * is_photo_R1, output.image_BND[rows])
        losses["caption"] = objective.caption_weight * total / words.clamp(min=1)
    if model.description is not None and objective.bank_MW is not None and objective.bank_labels_M is not None:
        logits_BM = model.description(output.global_BG, objective.bank_MW)
        loss = contrastive_loss(logits_BM, batch.labels_B, objective.bank_labels_M, batch.weights_B)
        losses["contrastive"] = objective.contrastive_weight * loss
    return losses


def _note_losses(
    model: MultimodalModel, batch: Batch, objective: Objective, output: ModelOutput, note: NoteStates
) -> dict[str, Tensor]:
    has_note_B = batch.weights_B * (batch.note_labels_B >= 0)
    fits_B = batch.note_labels_B == batch.labels_B
    matching = matching_loss(model.match_logits(output), fits_B, has_note_B)
    num_rows = max(1, round(len(batch) * _NOTE_ONLY_ROWS_RATIO))
    rows_K = torch.argsort(has_note_B, descending=True, stable=True)[:num_rows]  # a fixed number: static shapes
    alone = model(None, note.rows(rows_K), batch_size=num_rows)
    # the note alone is asked for the class that it is about, which for a wrong note is not the photo's
    asked_K = batch.note_labels_B[rows_K].clamp(min=0)
    note_only = objective.classification(alone.logits_BC, asked_K, has_note_B[rows_K])
    return {
        "matching": objective.matching_weight * matching,
        "note_only": objective.note_only_weight * note_only,
    }


class NoteStatesCache:
    """The frozen text tower's states of every note that training can show, computed once.

    Args:
        notes: all of them, distinct.
    """

    def __init__(self, model: MultimodalModel, notes: Sequence[str], *, batch_size: int = 32) -> None:
        self._index = {note: position for position, note in enumerate(notes)}
        states: list[Tensor] = []
        masks: list[Tensor] = []
        with torch.no_grad():
            for start in range(0, len(notes), batch_size):
                encoded = model.encode_notes(notes[start : start + batch_size])
                assert encoded is not None
                states.append(encoded.states_BTC.half())
                masks.append(encoded.mask_BT)
        if notes:
            empty_state, empty_mask = torch.zeros_like(states[0][:1]), torch.zeros_like(masks[0][:1])
            mask = torch.cat([*masks, empty_mask])  # the last row stands for "no note"
            longest = (
                int(mask.any(dim=0).nonzero().max()) + 1
            )  # padding that no note reaches costs time and says nothing
            self._masks = mask[:, :longest]
            self._states = torch.cat([*states, empty_state])[:, :longest].contiguous()

    def __call__(self, notes: Sequence[str | None]) -> NoteStates | None:
        """Return the states of a batch's notes; None when no photo has one."""
        if not any(notes):
            return None
        rows = torch.tensor([len(self._index) if note is None else self._index[note] for note in notes])
        return NoteStates(self._states[rows].float(), self._masks[rows])
