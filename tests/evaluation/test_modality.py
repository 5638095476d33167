from __future__ import annotations

import numpy as np
import pytest

from plantset.evaluation.modality import NOT_RUN, Condition, ModalityScores, score_modality

LABELS = np.array([0, 0, 1, 1])


def judge(**answers: list[int]) -> ModalityScores | None:
    defaults: dict[Condition, list[int]] = {
        "image_only": [0, 0, 1, 0],
        "note_only": [0, 1, 0, 1],
        "image_and_note": [0, 0, 1, 1],
        "wrong_note": [0, 1, 1, 0],
        "shuffled_image": [1, 0, 0, 1],
        "empty_note": [0, 0, 1, 0],
    }
    predicted = {name: np.array(answers.get(name, default)) for name, default in defaults.items()}
    return score_modality(predicted, LABELS, np.arange(4), bootstrap_count=200, rng=np.random.default_rng(0))


def test_gains_are_differences_of_accuracy_on_the_same_photos() -> None:
    scores = judge()

    assert scores is not None
    assert {gain.name: gain.difference.value for gain in scores.gains} == {
        "note_adds": 0.25,
        "image_adds": 0.5,
        "wrong_note_changes": -0.25,
        "shuffled_image_changes": -0.5,
    }


def test_a_wrong_note_that_overturns_one_right_answer_of_three_is_counted() -> None:
    scores = judge()

    assert scores is not None
    assert scores.wrong_note_flips == pytest.approx(1 / 3)


def test_a_note_that_beats_the_photo_is_a_leak() -> None:
    scores = judge(note_only=[0, 0, 1, 1])

    assert scores is not None
    assert scores.leak


def test_a_note_that_equals_the_photo_is_no_leak() -> None:
    scores = judge(note_only=[0, 0, 0, 1])

    assert scores is not None
    assert not scores.leak


def test_photos_without_a_note_are_in_no_row() -> None:
    """The photo without a note is the one that the photo alone got wrong."""
    missing = {"note_only": [0, 1, 0, NOT_RUN], "image_and_note": [0, 0, 1, NOT_RUN]}

    scores = judge(**missing)

    assert scores is not None
    assert scores.num_photos_with_note == 3
    assert scores.conditions[0].accuracy.value == 1.0
    assert all(row.num_photos == 3 for row in scores.conditions)


def test_a_condition_that_could_not_be_run_has_no_row() -> None:
    scores = judge(shuffled_image=[NOT_RUN] * 4)

    assert scores is not None
    assert "shuffled_image" not in {row.condition for row in scores.conditions}
    assert "shuffled_image_changes" not in {gain.name for gain in scores.gains}


def test_no_note_at_all_gives_no_comparison() -> None:
    assert judge(note_only=[NOT_RUN] * 4) is None


def test_a_paired_interval_is_narrower_than_two_single_ones() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros(400, dtype=np.int64)
    image = (rng.random(400) > 0.6).astype(np.int64)
    both = np.where(rng.random(400) < 0.05, 0, image)
    predicted: dict[Condition, np.ndarray] = {
        "image_only": image,
        "note_only": image,
        "image_and_note": both,
        "wrong_note": image,
        "shuffled_image": image,
        "empty_note": image,
    }

    scores = score_modality(predicted, labels, np.arange(400), bootstrap_count=500, rng=rng)

    assert scores is not None
    gain, single = scores.gains[0].difference, scores.conditions[0].accuracy
    assert gain.low is not None and gain.high is not None and single.low is not None and single.high is not None  # noqa: PT018
    assert gain.high - gain.low < (single.high - single.low) / 1.5


def test_an_empty_note_that_answers_as_the_photo_alone_changes_nothing() -> None:
    scores = judge()

    assert scores is not None
    assert scores.empty_note_changes == 0


def test_each_answer_that_an_empty_note_changes_is_counted() -> None:
    scores = judge(empty_note=[1, 0, 1, 1])

    assert scores is not None
    assert scores.empty_note_changes == 2
