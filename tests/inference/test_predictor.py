"""One answer whatever way a photo is asked about, and what a note may do to it."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.special import softmax

import plantset
from plantset.core.classes import ClassInfo
from plantset.core.errors import CheckpointError, DataError
from plantset.core.photo import PhotoError, decode_photo
from plantset.core.records import Texts
from plantset.data.geometry import fit_photo
from plantset.inference.predictor import Prediction, Predictor, load_predictor, make_card
from plantset.models.decision import make_unknown_rule
from tests.fake_leaves import CLASS_IDS, TEXTS


def _assert_same(left: Prediction, right: Prediction) -> None:
    assert [c.class_id for c in left.candidates] == [c.class_id for c in right.candidates]
    np.testing.assert_allclose(
        [c.probability for c in left.candidates], [c.probability for c in right.candidates], atol=1e-5
    )


def test_path_text_bytes_and_array_get_the_same_answer(predictor: Predictor, photo: Path) -> None:
    by_path = predictor.predict(photo)

    assert predictor.predict(str(photo)) == by_path
    assert predictor.predict(photo.read_bytes()) == by_path
    assert predictor.predict(decode_photo(photo).pixels) == by_path


def test_a_photo_alone_and_in_a_batch_gets_the_same_answer(predictor: Predictor, photos_dir: Path) -> None:
    paths = sorted(photos_dir.glob("*.jpg"))

    together = predictor.predict_views([predictor.read(path) for path in paths])

    for path, prediction in zip(paths, together, strict=True):
        _assert_same(predictor.predict(path), prediction)


def test_the_number_of_threads_changes_no_probability_by_1e_5(predictor: Predictor, photo: Path) -> None:
    threads = torch.get_num_threads()
    try:
        answers = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            answers.append([found.probability for found in predictor.predict(photo).candidates])
    finally:
        torch.set_num_threads(threads)

    assert np.ptp(np.array(answers), axis=0).max() <= 1e-5


def test_probabilities_are_the_softmax_of_logits_over_the_temperature(predictor: Predictor, photo: Path) -> None:
    pixels = torch.from_numpy(fit_photo(decode_photo(photo).pixels, predictor.model.preprocess))[None]
    expected = softmax(predictor.model.predict_batch(pixels).double().numpy()[0] / 1.5)

    candidates = predictor.predict(photo, top_k=4).candidates

    assert {c.class_id: pytest.approx(c.probability) for c in candidates} == dict(zip(CLASS_IDS, expected, strict=True))


def test_candidates_come_most_probable_first_and_as_many_as_asked(predictor: Predictor, photo: Path) -> None:
    probabilities = [candidate.probability for candidate in predictor.predict(photo, top_k=3).candidates]

    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)


def test_more_candidates_than_classes_are_all_classes(predictor: Predictor, photo: Path) -> None:
    candidates = predictor.predict(photo, top_k=50).candidates

    assert sum(candidate.probability for candidate in candidates) == pytest.approx(1.0)
    assert {candidate.class_id for candidate in candidates} == set(CLASS_IDS)


def test_the_prediction_set_is_cut_where_the_weight_passes_the_quantile(predictor: Predictor, photo: Path) -> None:
    prediction = predictor.predict(photo, top_k=4)
    above = np.concatenate([[0.0], np.cumsum([c.probability for c in prediction.candidates])[:-1]])

    expected = [c.class_id for c, weight in zip(prediction.candidates, above, strict=True) if weight <= 0.6]

    assert [c.class_id for c in prediction.prediction_set] == expected


def test_a_model_that_is_never_sure_enough_says_so(unsure_checkpoint: Path, photo: Path) -> None:
    assert load_predictor(unsure_checkpoint).predict(photo).decision == "unsure"


def test_a_model_without_a_threshold_answers(predictor: Predictor, photo: Path) -> None:
    assert predictor.predict(photo).decision == "answer"


def test_a_name_in_the_note_is_masked_and_said_to_be(predictor: Predictor, photo: Path) -> None:
    note = predictor.predict(photo, "je crois que c'est la Rouille, pustules orange").note

    assert note is not None
    assert note.names_masked
    assert "ouille" not in note.used
    assert "pustules orange" in note.used


def test_the_name_that_was_masked_does_not_matter(predictor: Predictor, photo: Path) -> None:
    answers = [predictor.predict(photo, f"pustules orange, {name} ?") for name in ("rouille", "mildiou")]

    _assert_same(*answers)


def test_a_note_is_read_and_what_the_photo_alone_says_is_kept(predictor: Predictor, photo: Path) -> None:
    alone, noted = predictor.predict(photo), predictor.predict(photo, "pustules orange")

    assert noted.note is not None
    assert noted.note.first_without == alone.candidates[0].class_id
    assert noted.note.changed_answer == (noted.candidates[0].class_id != alone.candidates[0].class_id)
    assert noted.candidates[0].probability != alone.candidates[0].probability


def test_a_model_without_notes_does_not_use_one(unsure_checkpoint: Path, photo: Path) -> None:
    predictor = load_predictor(unsure_checkpoint)

    noted = predictor.predict(photo, "pustules orange")

    assert noted.note is not None
    assert noted.note.used == ""
    _assert_same(noted, predictor.predict(photo))


def test_a_description_is_generated_only_when_asked_for(predictor: Predictor, photo: Path) -> None:
    silent, described = predictor.predict(photo), predictor.predict(photo, describe=True, language="en")

    assert (silent.description, silent.description_language) == (None, None)
    assert isinstance(described.description, str)
    assert described.description_language == "en"


def test_a_note_changes_no_word_of_the_description(predictor: Predictor, photo: Path) -> None:
    plain, noted = (predictor.predict(photo, note, describe=True) for note in (None, "pustules orange"))

    assert plain.description == noted.description


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_card_is_of_the_first_candidate_in_the_asked_language(
    predictor: Predictor, photo: Path, language: str
) -> None:
    prediction = predictor.predict(photo, language=language)  # type: ignore[arg-type]

    assert prediction.card is not None
    assert prediction.card.description == TEXTS[prediction.candidates[0].class_id][language].description
    assert prediction.card.source == {"description": "user", "symptoms": "catalogue"}


def test_a_card_in_a_language_that_has_no_text_is_in_the_other() -> None:
    card = make_card(ClassInfo("a", "a", texts={"fr": Texts("Une feuille."), "en": Texts()}), "en")

    assert card is not None
    assert (card.language, card.description) == ("fr", "Une feuille.")


def test_a_class_without_texts_has_no_card() -> None:
    assert make_card(ClassInfo("a", "a"), "fr") is None


def test_a_broken_photo_is_an_error_that_names_it(predictor: Predictor, photo: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:300])

    with pytest.raises(PhotoError, match=r"broken\.jpg"):
        predictor.predict(broken)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((9, 9, 3), np.float32),
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((0, 9, 3), np.uint8),
    ],
    ids=["float", "grey", "alpha", "empty"],
)
def test_an_array_that_is_no_rgb_photo_is_refused_by_its_shape(predictor: Predictor, array: np.ndarray) -> None:
    with pytest.raises(DataError) as refused:
        predictor.predict(array)

    assert str(array.shape) in refused.value.problem


def test_an_absent_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.pth"):
        load_predictor(tmp_path / "gone.pth")


def test_the_package_offers_the_predictor(checkpoint: Path, photo: Path, predictor: Predictor) -> None:
    assert plantset.load_predictor(checkpoint).predict(photo) == predictor.predict(photo)


def with_rule(predictor: Predictor, threshold: float) -> Predictor:
    """The same model with a rule for unknown photos that refuses below the threshold."""
    width = predictor.model.answer_photos(torch.zeros(1, 4, predictor.model.model.vision.width))[1].shape[1]
    rng = np.random.default_rng(0)
    rule = make_unknown_rule(
        rng.normal(size=(4, width)),
        np.zeros(width),
        np.ones(width),
        threshold=threshold,
        known_error=0.05,
        num_photos=9,
    )
    model = copy.copy(predictor.model)
    model.card = dataclasses.replace(model.card, calibration=dataclasses.replace(model.calibration, unknown=rule))
    return Predictor(model)


def test_a_photo_that_is_far_from_every_class_is_unknown_however_probable_the_first(
    predictor: Predictor, photo: Path
) -> None:
    answer = with_rule(predictor, threshold=1e9).predict(photo)

    assert answer.decision == "unknown"
    assert answer.familiarity is not None


def test_a_strange_picture_without_a_plants_colour_is_not_a_leaf(predictor: Predictor) -> None:
    answer = with_rule(predictor, threshold=1e9).predict(np.zeros((200, 200, 3), dtype=np.uint8))

    assert (answer.decision, answer.confidence) == ("not a leaf", "none")


def test_a_familiar_picture_without_a_plants_colour_is_answered(predictor: Predictor) -> None:
    answer = with_rule(predictor, threshold=-1e9).predict(np.zeros((200, 200, 3), dtype=np.uint8))

    assert answer.decision == "answer"


def test_a_blurred_photo_is_warned_of(predictor: Predictor, photo: Path) -> None:
    sharp = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)

    assert "blurred" not in predictor.predict(sharp).warnings
    assert "blurred" in predictor.predict(cv2.GaussianBlur(cv2.GaussianBlur(sharp, (0, 0), 9) * 2, (0, 0), 9)).warnings


def test_a_card_from_the_catalogue_names_its_sources() -> None:
    info = ClassInfo("a", "a", texts={"fr": Texts("Une feuille.")}, sources=("Agrios 2005",))

    from_catalogue, from_user = (
        make_card(dataclasses.replace(info, text_source={"fr.description": source}), "fr")
        for source in ("catalogue", "user")
    )

    assert from_catalogue is not None
    assert from_user is not None
    assert (from_catalogue.sources, from_user.sources) == (("Agrios 2005",), ())


def test_a_photo_that_is_familiar_enough_is_answered_as_before(predictor: Predictor, photo: Path) -> None:
    answer = with_rule(predictor, threshold=-1e9).predict(photo)

    assert answer.decision == predictor.predict(photo).decision == "answer"


def test_flips_of_a_photo_get_one_answer_with_test_time_augmentation(predictor: Predictor, photo: Path) -> None:
    pixels = decode_photo(photo).pixels

    upright = predictor.predict(pixels, tta=True)
    mirrored = predictor.predict(np.ascontiguousarray(pixels[:, ::-1]), tta=True)

    _assert_same(upright, mirrored)


def test_familiarity_is_that_of_the_photo_seen_once_whatever_the_augmentation(
    predictor: Predictor, photo: Path
) -> None:
    ruled = with_rule(predictor, threshold=0.0)

    assert ruled.predict(photo, tta=True).familiarity == ruled.predict(photo).familiarity is not None


def test_test_time_augmentation_is_the_mean_of_four_logits(predictor: Predictor, photo: Path) -> None:
    view = torch.from_numpy(predictor.read(photo))[None]
    views = [view, view.flip(2), view.flip(1), view.flip(1, 2)]
    mean = torch.stack([predictor.model.predict_batch(flipped) for flipped in views]).mean(dim=0)

    answer = predictor.predict(photo, tta=True, top_k=4)

    expected = softmax(mean.double().numpy()[0] / 1.5)
    assert {c.class_id: pytest.approx(c.probability) for c in answer.candidates} == dict(
        zip(CLASS_IDS, expected, strict=True)
    )


def test_a_description_of_another_class_is_said_to_contradict_the_answer(
    predictor: Predictor, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = predictor.predict(photo).candidates[0].class_id
    other = next(info for info in predictor.model.card.classes if info.class_id != first)
    text = other.texts["fr"].description
    monkeypatch.setattr(predictor.model, "caption_tokens", lambda *_: [text])

    answer = predictor.predict(photo, describe=True, language="fr")

    assert other.class_id in answer.description_names


def test_a_description_of_the_answer_contradicts_nothing(
    predictor: Predictor, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = predictor.predict(photo).candidates[0].class_id
    info = next(info for info in predictor.model.card.classes if info.class_id == first)
    monkeypatch.setattr(predictor.model, "caption_tokens", lambda *_: [info.texts["fr"].description])

    answer = predictor.predict(photo, describe=True, language="fr")

    assert answer.description_names == ()
