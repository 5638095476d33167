"""The losses between the photos and the notes of one batch: image-text contrast, and matching with hard negatives.

Dimensions: B batch, W width of a text's vector.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from plantset.data.batch import Batch
from plantset.models.masking import VisionTokens, pool_mean
from plantset.models.multimodal import ModelOutput, MultimodalModel, NoteStates
from plantset.models.objectives import (
    Term,
    hard_negatives,
    has_negative,
    image_text_count,
    image_text_loss,
    matching_loss,
)
from plantset.models.presets import ObjectiveWeights


def pair_counts(model: MultimodalModel, batch: Batch, weights: ObjectiveWeights) -> dict[str, Tensor]:
    """Return what each loss of `pair_terms` counts, from the batch alone."""
    counts: dict[str, Tensor] = {}
    if model.description is None:
        return counts
    pairs = (batch.labels_B, batch.note_labels_B, batch.is_whole)
    if weights.image_text > 0:
        counts["image_text"] = image_text_count(*pairs)
    if model.matching is not None and weights.hard_matching > 0:
        counts["hard_matching"] = has_negative(*pairs).sum()
    return counts


def pair_terms(
    model: MultimodalModel,
    batch: Batch,
    weights: ObjectiveWeights,
    image: VisionTokens,
    output: ModelOutput,
    note: NoteStates,
) -> dict[str, Term]:
    """Return the losses that have a weight; similarity is the description head's, in the space of the bank."""
    wanted = pair_counts(model, batch, weights)
    if not wanted or model.description is None:
        return {}
    vectors_BW = normalize(pool_mean(note.states_BTC, note.mask_BT), dim=-1)  # as the bank's texts are pooled
    logits_BB = model.description(output.global_BG, vectors_BW)
    pairs = (batch.labels_B, batch.note_labels_B, batch.is_whole)
    terms: dict[str, Term] = {}
    if "image_text" in wanted:
        terms["image_text"] = image_text_loss(logits_BB, *pairs)
    if "hard_matching" in wanted:
        wrong = note.rows(hard_negatives(logits_BB, *pairs))
        logits_B = model.match_logits(model(image, wrong, answer=False))
        terms["hard_matching"] = matching_loss(logits_B, torch.zeros_like(logits_B), has_negative(*pairs))
    return terms
