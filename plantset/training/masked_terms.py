"""The masked losses of a batch: hidden image tokens, hidden note tokens, and both of matching pairs.

A photo or a note counts once, however many of its tokens are hidden, so that what is counted is known before the notes
are cut into tokens.

Dimensions: B batch, N image tokens, T note tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plantset.data.batch import Batch
from plantset.models.masking import IMAGE_RATIO, NOTE_RATIO, VisionTokens, choose_hidden
from plantset.models.multimodal import MultimodalModel, NoteStates
from plantset.models.objectives import Term
from plantset.models.presets import ObjectiveWeights


def masked_counts(model: MultimodalModel, batch: Batch, weights: ObjectiveWeights) -> dict[str, Tensor]:
    """Return what each masked loss counts, from the batch alone: photos, notes, matching pairs."""
    return {name: rows_B.sum() for name, rows_B in _rows(model, batch, weights).items()}


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
    rows = _rows(model, batch, weights)
    losses: dict[str, Tensor] = {}
    if "masked_image" in rows:
        losses["masked_image"] = _image_losses(model, batch, image, seed)
    if "masked_text" in rows and note is not None:
        losses["masked_text"] = _note_losses(model, batch, note, seed)
    if "masked_multimodal" in rows and note is not None:
        losses["masked_multimodal"] = _pair_losses(model, batch, image, note, seed)
    return {name: Term((losses_B * rows[name]).sum(), rows[name].sum()) for name, losses_B in losses.items()}


def _rows(model: MultimodalModel, batch: Batch, weights: ObjectiveWeights) -> dict[str, Tensor]:
    """Return which rows count for which loss, 1 or 0."""
    rows: dict[str, Tensor] = {}
    if model.masking is None:
        return rows
    if weights.masked_image > 0:
        rows["masked_image"] = batch.weights_B
    if model.note_connector is not None:
        has_note_B = batch.has_note
        if weights.masked_text > 0:
            rows["masked_text"] = has_note_B
        if weights.masked_multimodal > 0:
            rows["masked_multimodal"] = has_note_B * (batch.note_labels_B == batch.labels_B)
    return rows


def _image_losses(model: MultimodalModel, batch: Batch, image: VisionTokens, seed: int) -> Tensor:
    assert model.masking is not None
    image_BND = model.image_connector(image.tokens_BNC, image.grid)
    hidden_BN = _hidden_image(batch, image, seed)
    return model.masking.image_losses(model.fusion, image_BND, image.tokens_BNC, hidden_BN)


def _note_losses(model: MultimodalModel, batch: Batch, note: NoteStates, seed: int) -> Tensor:
    assert model.masking is not None
    assert model.note_connector is not None
    no_image_BND = model.no_image.expand(len(batch), 1, -1)
    hidden_BT = choose_hidden(note.mask_BT, NOTE_RATIO, seed=seed, epoch=batch.epoch, indices_B=batch.indices_B)
    note_BTD = model.note_connector(note.states_BTC)
    return model.masking.note_losses(model.fusion, no_image_BND, (note_BTD, note.states_BTC, hidden_BT), note.mask_BT)


def _pair_losses(model: MultimodalModel, batch: Batch, image: VisionTokens, note: NoteStates, seed: int) -> Tensor:
    assert model.masking is not None
    assert model.note_connector is not None
    hidden_BT = choose_hidden(note.mask_BT, NOTE_RATIO, seed=seed, epoch=batch.epoch, indices_B=batch.indices_B)
    image_BND = model.image_connector(image.tokens_BNC, image.grid)
    note_BTD = model.note_connector(note.states_BTC)
    return model.masking.pair_losses(
        model.fusion,
        (image_BND, image.tokens_BNC, _hidden_image(batch, image, seed)),
        (note_BTD, note.states_BTC, hidden_BT),
        note.mask_BT,
    )


def _hidden_image(batch: Batch, image: VisionTokens, seed: int) -> Tensor:
    everywhere_BN = torch.ones(image.tokens_BNC.shape[:2], dtype=torch.bool, device=image.tokens_BNC.device)
    return choose_hidden(everywhere_BN, IMAGE_RATIO, seed=seed, epoch=batch.epoch, indices_B=batch.indices_B)
