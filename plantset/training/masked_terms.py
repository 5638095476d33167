"""The masked losses of a batch: hidden image tokens, hidden note tokens, and both of matching pairs.

A photo or a note counts once, however many of its tokens are hidden, so that what is counted is known before the notes
are cut into tokens.

Dimensions: B batch, K chosen rows, N image tokens, T note tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from plantset.data.batch import Batch
from plantset.models.masking import IMAGE_RATIO, NOTE_RATIO, Hidden, VisionTokens, choose_hidden
from plantset.models.multimodal import MultimodalModel, NoteStates
from plantset.models.objectives import Term
from plantset.models.presets import ObjectiveWeights
from plantset.training.rows import marked_of_four


def masked_counts(model: MultimodalModel, batch: Batch, weights: ObjectiveWeights) -> dict[str, Tensor]:
    """Return what each masked loss counts, from the batch alone: photos, notes, matching pairs."""
    return {name: marks_B[rows_K].sum() for name, (rows_K, marks_B) in _rows(model, batch, weights).items()}


def masked_terms(
    model: MultimodalModel,
    batch: Batch,
    weights: ObjectiveWeights,
    image: VisionTokens,
    note: NoteStates | None,
    *,
    seed: int,
) -> dict[str, Term]:
    """Return the masked losses that have a weight; those of notes only where the batch has a note."""
    asked = _rows(model, batch, weights)
    losses: dict[str, Tensor] = {}
    if "masked_image" in asked:
        losses["masked_image"] = _image_losses(model, batch, image, asked["masked_image"].rows_K, seed)
    if "masked_text" in asked and note is not None:
        losses["masked_text"] = _note_losses(model, batch, note, asked["masked_text"].rows_K, seed)
    if "masked_multimodal" in asked and note is not None:
        losses["masked_multimodal"] = _pair_losses(model, batch, image, note, asked["masked_multimodal"].rows_K, seed)
    counted = {name: asked[name].marks_B[asked[name].rows_K] for name in losses}
    return {name: Term((losses_K * counted[name]).sum(), counted[name].sum()) for name, losses_K in losses.items()}


class _Rows(NamedTuple):
    """Rows that a loss looks at, and which rows of the batch count for it, 1 or 0."""

    rows_K: Tensor
    marks_B: Tensor


def _rows(model: MultimodalModel, batch: Batch, weights: ObjectiveWeights) -> dict[str, _Rows]:
    marks: dict[str, Tensor] = {}
    if model.masking is None:
        return {}
    if weights.masked_image > 0:
        marks["masked_image"] = batch.weights_B
    if model.note_connector is not None:
        has_note_B = batch.has_note
        if weights.masked_text > 0:
            marks["masked_text"] = has_note_B
        if weights.masked_multimodal > 0:
            marks["masked_multimodal"] = has_note_B * (batch.note_labels_B == batch.labels_B)
    return {name: _Rows(marked_of_four(marks_B), marks_B) for name, marks_B in marks.items()}


def _image_losses(model: MultimodalModel, batch: Batch, image: VisionTokens, rows_K: Tensor, seed: int) -> Tensor:
    assert model.masking is not None
    return model.masking.image_losses(model.fusion, *_image(model, batch, image, rows_K, seed))


def _note_losses(model: MultimodalModel, batch: Batch, note: NoteStates, rows_K: Tensor, seed: int) -> Tensor:
    assert model.masking is not None
    no_image_KND = model.no_image.expand(len(rows_K), 1, -1)
    hidden, mask_KT = _note(model, batch, note, rows_K, seed)
    return model.masking.note_losses(model.fusion, no_image_KND, hidden, mask_KT)


def _pair_losses(
    model: MultimodalModel, batch: Batch, image: VisionTokens, note: NoteStates, rows_K: Tensor, seed: int
) -> Tensor:
    assert model.masking is not None
    hidden, mask_KT = _note(model, batch, note, rows_K, seed)
    return model.masking.pair_losses(model.fusion, _image(model, batch, image, rows_K, seed), hidden, mask_KT)


def _image(model: MultimodalModel, batch: Batch, image: VisionTokens, rows_K: Tensor, seed: int) -> Hidden:
    """Return the rows' image tokens before fusion, the tower's, and which of them are hidden."""
    everywhere_BN = torch.ones(image.tokens_BNC.shape[:2], dtype=torch.bool, device=image.tokens_BNC.device)
    hidden_BN = choose_hidden(everywhere_BN, IMAGE_RATIO, seed=seed, epoch=batch.epoch, indices_B=batch.indices_B)
    tokens_KNC = image.tokens_BNC[rows_K]
    return model.image_connector(tokens_KNC, image.grid), tokens_KNC, hidden_BN[rows_K]


def _note(model: MultimodalModel, batch: Batch, note: NoteStates, rows_K: Tensor, seed: int) -> tuple[Hidden, Tensor]:
    """Return the rows' note tokens before fusion, the text tower's, and which are hidden; and which are real."""
    assert model.note_connector is not None
    hidden_BT = choose_hidden(note.mask_BT, NOTE_RATIO, seed=seed, epoch=batch.epoch, indices_B=batch.indices_B)
    chosen = note.rows(rows_K)
    return (model.note_connector(chosen.states_BTC), chosen.states_BTC, hidden_BT[rows_K]), chosen.mask_BT
