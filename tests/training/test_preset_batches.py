"""Every preset with every one of its losses on the batches where losses break: nothing to contrast, nothing to read."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from plantset.data.batch import Batch
from plantset.models.multimodal import MultimodalModel
from plantset.models.objectives import ClassificationLoss
from plantset.models.presets import PRESETS, PresetName, find_preset
from plantset.training.step import Objective, term_counts, training_terms, weighted_sum
from tests.models.small import NOTES, VOCABULARY, build, photos
from tests.tiny_models import SENTENCES

_LABELS, _ONE_WORD = (0, 1, 2, 3), ("x",) * 4
BATCHES: dict[str, tuple[tuple[int, ...], tuple[str | None, ...]]] = {
    "four classes": (_LABELS, NOTES),
    "one class": ((2, 2, 2, 2), NOTES),
    "one photo": ((1,), NOTES[:1]),
    "one photo without a note": ((1,), (None,)),
    "no note": (_LABELS, (None,) * 4),
    "blank notes": (_LABELS, ("", " ", "", "")),
    "notes of one word": (_LABELS, _ONE_WORD),
    "one class, notes of one word": ((0, 0, 0, 0), _ONE_WORD),
}


@pytest.fixture(scope="module", params=PRESETS)
def preset(request: pytest.FixtureRequest) -> PresetName:
    name: PresetName = request.param
    return name


@pytest.fixture(scope="module")
def model(preset: PresetName, tiny_bert: str) -> MultimodalModel:
    return build(tiny_bert, preset=preset)


def _batch(labels: tuple[int, ...], notes: tuple[str | None, ...]) -> Batch:
    rows = [VOCABULARY.encode(SENTENCES[label], language="fr", length=32) for label in labels]
    labels_B = torch.tensor(labels)
    has_note_B = torch.tensor([note is not None for note in notes])
    return Batch(
        indices_B=torch.arange(len(labels)),
        pixels_BHWC=photos(len(labels)),
        features_B=None,
        labels_B=labels_B,
        notes=notes,
        note_labels_B=torch.where(has_note_B, labels_B, -1),
        caption_ids_BT=torch.stack(list(map(torch.from_numpy, rows))),
        weights_B=torch.ones(len(labels)),
    )


def _objective(preset: PresetName) -> Objective:
    weights = dataclasses.replace(find_preset(preset).weights, image_text=0.1, hard_matching=0.1)
    bank_MW = torch.nn.functional.normalize(torch.randn(4, 32, generator=torch.Generator().manual_seed(0)), dim=1)
    return Objective(ClassificationLoss(0.1, focal_gamma=1.0), bank_MW, torch.arange(4), weights)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", BATCHES)
def test_loss_and_gradient_are_finite(
    preset: PresetName, model: MultimodalModel, name: str, dtype: torch.dtype | None
) -> None:
    batch, objective = _batch(*BATCHES[name]), _objective(preset)
    model.eval().zero_grad(set_to_none=True)

    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        terms = training_terms(model, batch, objective, model.encode_notes)
        loss, parts = weighted_sum(terms, term_counts(model, batch, objective), objective.weights)
    loss.backward()

    assert loss.isfinite()
    assert all(bool(part.isfinite()) for part in parts.values())
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
