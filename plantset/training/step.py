"""One batch -> named losses -> one number to minimise.

What a batch counts is known before the model sees it (`term_counts`), so that a window of micro-batches, or of
processes, can divide by what all of it counts.

Dimensions: B batch, K and R chosen rows, C classes, M descriptions in the bank, T caption tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from plantset.core.vocabulary import PAD_ID
from plantset.data.batch import Batch
from plantset.models.captioner import predicted_words
from plantset.models.multimodal import ModelOutput, MultimodalModel, NoteStates
from plantset.models.objectives import ClassificationLoss, Term, contrastive_loss, matching_loss
from plantset.models.presets import ObjectiveWeights
from plantset.training.masked_terms import masked_counts, masked_terms
from plantset.training.pair_terms import pair_counts, pair_terms
from plantset.training.rows import FIRST_OF_FOUR, marked_of_four

EncodeNotes = Callable[[Sequence[str | None]], NoteStates | None]


@dataclass(frozen=True)
class Objective:
    """The losses and their weights.

    Attributes:
        bank_MW: the text tower's vectors of the descriptions; None without a text tower.
        bank_labels_M: int64, the class of each description.
        seed: of what is hidden from the masked losses, with epoch and photo.
    """

    classification: ClassificationLoss
    bank_MW: Tensor | None
    bank_labels_M: Tensor | None
    weights: ObjectiveWeights
    seed: int = 0


def training_terms(
    model: MultimodalModel, batch: Batch, objective: Objective, encode_notes: EncodeNotes
) -> dict[str, Term]:
    """Return each loss by its name in `ObjectiveWeights`; one of weight 0 is not computed.

    Args:
        encode_notes: the model's own, or a lookup of the same states when the text tower is frozen.
    """
    image = model.encode_photos(batch.pixels_BHWC, batch.features_B)
    note = encode_notes(batch.notes)
    output = model(image, note, answer=objective.weights.classification > 0)
    terms: dict[str, Term] = {}
    if objective.weights.classification > 0:
        terms["classification"] = objective.classification(
            output.logits_BC, batch.labels_B, batch.weights_B, batch.other_labels_B, batch.other_shares_B
        )
    if model.names is not None and model.captioner is not None:
        targets = _name_targets(model, batch.labels_B, batch.weights_B)
        terms["class_name"] = model.captioner.loss(targets, output.fused_BND)
    terms |= _description_terms(model, batch, objective, output)
    if note is not None:
        terms |= _note_terms(model, batch, objective, output, note)
        terms |= pair_terms(model, batch, objective.weights, image, output, note)
    return terms | masked_terms(model, batch, objective.weights, image, note, seed=objective.seed)


def term_counts(model: MultimodalModel, batch: Batch, objective: Objective) -> dict[str, Tensor]:
    """Return what each loss of `training_terms` will count, from the batch alone; 0 where it will not be there."""
    weights = objective.weights
    counts: dict[str, Tensor] = {}
    if weights.classification > 0:
        counts["classification"] = batch.weights_B.sum()
    if model.names is not None and model.captioner is not None:
        counts["class_name"] = _count_words(_name_targets(model, batch.labels_B, batch.weights_B))
    if model.captioner is not None and weights.caption > 0:
        counts["caption"] = _count_words(_caption_targets(batch))
    if model.description is not None and weights.contrastive > 0 and objective.bank_labels_M is not None:
        has_text_B = (batch.labels_B[:, None] == objective.bank_labels_M.to(batch.labels_B.device)).any(dim=1)
        counts["contrastive"] = (batch.is_whole * has_text_B).sum()
    if model.note_connector is not None:
        counts |= _note_counts(model, batch, weights) | pair_counts(model, batch, weights)
    return counts | masked_counts(model, batch, weights)


def weighted_sum(
    terms: Mapping[str, Term], counts: Mapping[str, Tensor], weights: ObjectiveWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the number to minimise and each loss's weighted part of it: the same names on all ranks.

    Args:
        counts: what each loss counts in the whole window that a step is taken for, this batch included; one that is
            counted but not among the terms has nothing to say in this batch, and its part is 0.
    """
    parts = {
        name: getattr(weights, name) * terms[name].total / count.clamp(min=1.0).to(terms[name].total)
        if name in terms
        else torch.zeros_like(count, dtype=torch.float32)
        for name, count in counts.items()
    }
    return torch.stack(list(parts.values())).sum(), parts


def _description_terms(
    model: MultimodalModel, batch: Batch, objective: Objective, output: ModelOutput
) -> dict[str, Term]:
    terms: dict[str, Term] = {}
    if model.captioner is not None and objective.weights.caption > 0:
        terms["caption"] = model.captioner.loss(_caption_targets(batch), model.caption_context(output, FIRST_OF_FOUR))
    wants_bank = model.description is not None and objective.weights.contrastive > 0
    if wants_bank and objective.bank_MW is not None and objective.bank_labels_M is not None:
        assert model.description is not None
        logits_BM = model.description(output.global_BG, objective.bank_MW)
        terms["contrastive"] = contrastive_loss(logits_BM, batch.labels_B, objective.bank_labels_M, batch.is_whole)
    return terms


def _note_terms(
    model: MultimodalModel, batch: Batch, objective: Objective, output: ModelOutput, note: NoteStates
) -> dict[str, Term]:
    terms: dict[str, Term] = {}
    has_note_B = batch.has_note
    if model.matching is not None and objective.weights.matching > 0:
        fits_B = batch.note_labels_B == batch.labels_B
        terms["matching"] = matching_loss(model.match_logits(output), fits_B, has_note_B)
    if objective.weights.note_only > 0:
        rows_K = marked_of_four(has_note_B)
        alone = model(None, note.rows(rows_K), batch_size=len(rows_K), answer=model.names is None)
        # the note alone is asked for the class that it is about, which for a wrong note is not the photo's
        asked_K = batch.note_labels_B[rows_K].clamp(min=0)
        if model.names is None:
            terms["note_only"] = objective.classification(alone.logits_BC, asked_K, has_note_B[rows_K])
        elif model.captioner is not None:
            targets = _name_targets(model, asked_K, has_note_B[rows_K])
            terms["note_only"] = model.captioner.loss(targets, alone.fused_BND)
    return terms


def _note_counts(model: MultimodalModel, batch: Batch, weights: ObjectiveWeights) -> dict[str, Tensor]:
    counts: dict[str, Tensor] = {}
    has_note_B = batch.has_note
    if model.matching is not None and weights.matching > 0:
        counts["matching"] = has_note_B.sum()
    if weights.note_only > 0:
        rows_K = marked_of_four(has_note_B)
        asked_K, has_note_K = batch.note_labels_B[rows_K].clamp(min=0), has_note_B[rows_K]
        is_text = model.names is not None
        counts["note_only"] = _count_words(_name_targets(model, asked_K, has_note_K)) if is_text else has_note_K.sum()
    return counts


def _caption_targets(batch: Batch) -> Tensor:
    """Return the chosen rows' captions (R, T); a padding photo's is padding, which counts nothing."""
    return batch.caption_ids_BT[FIRST_OF_FOUR] * (batch.weights_B[FIRST_OF_FOUR, None] > 0)


def _name_targets(model: MultimodalModel, labels_B: Tensor, weights_B: Tensor) -> Tensor:
    assert model.names is not None
    return model.names.targets(labels_B) * (weights_B[:, None] > 0)


def _count_words(ids_BT: Tensor) -> Tensor:
    return (predicted_words(ids_BT) != PAD_ID).sum().float()


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
                encoded = model.read_notes(notes[start : start + batch_size])
                states.append(encoded.states_BTC.half().cpu())  # each on its own: a lazy device would gather them all
                masks.append(encoded.mask_BT.cpu())
        if notes:
            empty_state, empty_mask = torch.zeros_like(states[0][:1]), torch.zeros_like(masks[0][:1])
            mask = torch.cat([*masks, empty_mask])  # the last row stands for "no note"
            longest = (
                int(mask.any(dim=0).nonzero().max()) + 1
            )  # padding that no note reaches costs time and says nothing
            device = model.no_image.device
            self._masks = mask[:, :longest].to(device)
            self._states = torch.cat([*states, empty_state])[:, :longest].contiguous().to(device)

    def __call__(self, notes: Sequence[str | None]) -> NoteStates | None:
        """Return the states of a batch's notes, also where it has none: a program per batch would be another one.

        None where training has no note at all.
        """
        if not self._index:
            return None
        rows = torch.tensor([len(self._index) if note is None else self._index[note] for note in notes])
        rows = rows.to(self._states.device)
        return NoteStates(self._states[rows].float(), self._masks[rows])
