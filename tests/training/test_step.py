"""The losses of a batch: padding photos count nowhere, absent notes cost nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from plantset.data.batch import Batch
from plantset.models.build import create_multimodal_model
from plantset.models.multimodal import MultimodalModel
from plantset.models.objectives import ClassificationLoss
from plantset.models.presets import ObjectiveWeights
from plantset.training.step import NoteStatesCache, Objective, term_counts, training_terms, weighted_sum

NOTES = ("taches brunes", None, "white growth", None, "spots", None, None, None)


@pytest.fixture(scope="module")
def model(tiny_bert: str) -> MultimodalModel:
    torch.manual_seed(0)
    built = create_multimodal_model(
        3, "test_resnet", tiny_bert, 24, 24, 24, 4,
        pretrained=False, image_size=64, dropout=0.0, vocabulary_size=30, text_length=8, note_length=12,
    )  # fmt: skip
    return built.eval()


@pytest.fixture
def objective(model: MultimodalModel) -> Objective:
    bank = torch.randn(3, model.text.width, generator=torch.Generator().manual_seed(2))  # type: ignore[union-attr]
    weights = ObjectiveWeights(caption=1.0, contrastive=1.0, matching=1.0, note_only=1.0)
    return Objective(ClassificationLoss(), bank, torch.arange(3), weights)


def _batch(weights: list[float], notes: tuple[str | None, ...] = NOTES) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        indices_B=torch.arange(8),
        pixels_BHWC=torch.randint(0, 256, (8, 64, 64, 3), dtype=torch.uint8, generator=generator),
        features_B=None,
        labels_B=torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]),
        notes=notes,
        note_labels_B=torch.tensor([-1 if note is None else 2 for note in notes]),
        caption_ids_BT=torch.tensor([[2, 3, 9 + row, 8, 1, 0, 0, 0] for row in range(8)]),
        weights_B=torch.tensor(weights),
    )


def _losses(model: MultimodalModel, batch: Batch, objective: Objective) -> dict[str, float]:
    with torch.no_grad():
        terms = training_terms(model, batch, objective, model.encode_notes)
        _, parts = weighted_sum(terms, term_counts(model, batch, objective), objective.weights)
        return {name: float(value) for name, value in parts.items()}


def test_what_a_padding_photo_is_changes_no_loss(model: MultimodalModel, objective: Objective) -> None:
    batch = _batch([0.0] + [1.0] * 6 + [0.0])
    assert batch.pixels_BHWC is not None
    pixels, captions, labels = batch.pixels_BHWC.clone(), batch.caption_ids_BT.clone(), batch.labels_B.clone()
    pixels[[0, 7]], captions[[0, 7], 2], labels[[0, 7]] = 0, 20, 2
    changed = dataclasses.replace(batch, pixels_BHWC=pixels, caption_ids_BT=captions, labels_B=labels)

    assert _losses(model, changed, objective) == pytest.approx(_losses(model, batch, objective), rel=1e-5)


def test_the_losses_of_notes_are_0_in_a_batch_without_a_note_and_named_nevertheless(
    model: MultimodalModel, objective: Objective
) -> None:
    losses = _losses(model, _batch([1.0] * 8, (None,) * 8), objective)

    assert (losses["matching"], losses["note_only"]) == (0.0, 0.0)  # another process may have a note in its part
    assert losses["classification"] > 0


def test_all_losses_are_there_when_notes_are(model: MultimodalModel, objective: Objective) -> None:
    names = set(_losses(model, _batch([1.0] * 8), objective))

    assert names == {"classification", "caption", "contrastive", "matching", "note_only"}


@pytest.mark.parametrize("name", ["caption", "contrastive", "matching"])
def test_a_weight_scales_its_own_loss_alone(model: MultimodalModel, objective: Objective, name: str) -> None:
    plain = _losses(model, _batch([1.0] * 8), objective)

    weights = dataclasses.replace(objective.weights, **{name: 3.0})
    scaled = _losses(model, _batch([1.0] * 8), dataclasses.replace(objective, weights=weights))

    assert scaled == pytest.approx({**plain, name: 3 * plain[name]})


@pytest.mark.parametrize("weights", [[1.0] * 8, [1.0] * 5 + [0.0] * 3, [0.0] * 8])
@pytest.mark.parametrize("notes", [NOTES, (None,) * 8])
def test_what_each_loss_counts_is_known_beforehand(
    model: MultimodalModel, objective: Objective, weights: list[float], notes: tuple[str | None, ...]
) -> None:
    batch = _batch(weights, notes)

    with torch.no_grad():
        terms = training_terms(model, batch, objective, model.encode_notes)
        counts = term_counts(model, batch, objective)

    assert {name: float(term.counted) for name, term in terms.items()} == {
        name: float(count) for name, count in counts.items() if name in terms
    }
    assert all(float(count) == 0 for name, count in counts.items() if name not in terms)


def test_the_losses_of_two_halves_add_up_to_those_of_the_whole(model: MultimodalModel, objective: Objective) -> None:
    whole = _batch([1.0] * 6 + [0.0] * 2)
    halves = [_rows(whole, slice(0, 4)), _rows(whole, slice(4, 8))]

    with torch.no_grad():
        together = training_terms(model, whole, objective, model.encode_notes)
        apart = [training_terms(model, half, objective, model.encode_notes) for half in halves]

    for name, term in together.items():
        added = [
            torch.stack(values).sum() for values in zip(*(half[name] for half in apart if name in half), strict=True)
        ]
        torch.testing.assert_close(added, list(term), msg=name)


def test_a_mixture_counts_for_the_class_alone(model: MultimodalModel, objective: Objective) -> None:
    mixed = dataclasses.replace(
        _batch([1.0] * 8, (None,) * 8),
        other_labels_B=torch.tensor([1, 0, 0, 2, 2, 1, 1, 0]),
        other_shares_B=torch.tensor([0.3, 0.3, 0.0, 0.0, 0.2, 0.2, 0.0, 0.0]),
    )

    counts = term_counts(model, mixed, objective)

    assert (float(counts["classification"]), float(counts["contrastive"])) == (8.0, 4.0)
    with torch.no_grad():
        terms = training_terms(model, mixed, objective, model.encode_notes)
    assert float(terms["contrastive"].counted) == 4.0


def _rows(batch: Batch, rows: slice) -> Batch:
    assert batch.pixels_BHWC is not None
    return Batch(
        batch.indices_B[rows], batch.pixels_BHWC[rows], None, batch.labels_B[rows], batch.notes[rows],
        batch.note_labels_B[rows], batch.caption_ids_BT[rows], batch.weights_B[rows],
    )  # fmt: skip


def test_remembered_notes_give_the_models_answers(model: MultimodalModel) -> None:
    cache = NoteStatesCache(model, ["taches brunes", "white growth", "spots"])
    image = model.encode_photos(_batch([1.0] * 8).pixels_BHWC)  # type: ignore[arg-type]

    with torch.no_grad():
        remembered = model(image, cache(NOTES)).logits_BC
        expected = model(image, model.encode_notes(NOTES)).logits_BC

    torch.testing.assert_close(remembered, expected, rtol=1e-3, atol=1e-3)  # states are kept in fp16


def test_a_batch_without_a_note_has_states_of_the_usual_shape_in_which_nothing_is_real(model: MultimodalModel) -> None:
    cache = NoteStatesCache(model, ["spots"])
    usual, none = cache(("spots", None)), cache((None, None))

    assert usual is not None
    assert none is not None
    assert none.states_BTC.shape == usual.states_BTC.shape  # a program that XLA compiled serves both
    assert not none.mask_BT.any()


def test_a_training_without_any_note_has_no_states(model: MultimodalModel) -> None:
    assert NoteStatesCache(model, [])((None, None)) is None


@pytest.fixture(scope="module")
def flava(tiny_bert: str) -> MultimodalModel:
    torch.manual_seed(0)
    built = create_multimodal_model(
        3, "test_resnet", tiny_bert, 24, 24, 24, 4,
        preset="flava", pretrained=False, image_size=64, dropout=0.0, note_length=12,
    )  # fmt: skip
    return built.eval()


MASKED = ("masked_image", "masked_text", "masked_multimodal")
IN_BATCH = ("image_text", "hard_matching")


@pytest.fixture
def everything(flava: MultimodalModel) -> Objective:
    weights = ObjectiveWeights(caption=0.0, contrastive=0.0, **dict.fromkeys(MASKED + IN_BATCH, 1.0))
    return Objective(ClassificationLoss(), None, None, weights)


def test_masked_losses_count_photos_notes_and_matching_pairs(flava: MultimodalModel, everything: Objective) -> None:
    counts = term_counts(flava, _batch([1.0] * 6 + [0.0] * 2), everything)

    # one of each four rows; notes, all about class 2, stand on rows 0, 2 and 4; row 2 alone is of class 2
    assert [float(counts[name]) for name in MASKED] == [2.0, 2.0, 1.0]


@pytest.mark.parametrize("notes", [NOTES, (None,) * 8])
def test_what_masked_and_in_batch_losses_count_is_known_beforehand(
    flava: MultimodalModel, everything: Objective, notes: tuple[str | None, ...]
) -> None:
    batch = _batch([1.0] * 6 + [0.0] * 2, notes)

    with torch.no_grad():
        terms = training_terms(flava, batch, everything, flava.encode_notes)
    counts = term_counts(flava, batch, everything)

    assert {name: float(term.counted) for name, term in terms.items()} == {
        name: float(count) for name, count in counts.items() if name in terms
    }
    assert all(float(count) == 0 for name, count in counts.items() if name not in terms)
    assert all(bool(term.total > 0) for name, term in terms.items() if float(counts[name]))


def test_masked_losses_of_two_halves_add_up_to_those_of_the_whole(
    flava: MultimodalModel, everything: Objective
) -> None:
    whole = _batch([1.0] * 8)

    with torch.no_grad():
        together = training_terms(flava, whole, everything, flava.encode_notes)
        halves = [
            training_terms(flava, _rows(whole, rows), everything, flava.encode_notes)
            for rows in (slice(0, 4), slice(4, 8))
        ]

    for name in MASKED:
        added = sum(half[name].total for half in halves if name in half)
        torch.testing.assert_close(added, together[name].total, msg=name)


def test_without_a_note_masked_modelling_moves_no_weight_of_the_note(
    flava: MultimodalModel, everything: Objective
) -> None:
    flava.zero_grad()
    batch = _batch([1.0] * 8, (None,) * 8)

    total, _ = weighted_sum(
        training_terms(flava, batch, everything, flava.encode_notes),
        term_counts(flava, batch, everything),
        everything.weights,
    )
    total.backward()

    assert flava.masking is not None
    assert flava.masking.image_mask.grad is not None
    assert [p.grad for p in flava.masking.note_head.parameters()] == [None] * 4
