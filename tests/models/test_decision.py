"""From logits to an answer: temperature, threshold, prediction set."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from plantset.models.decision import Calibration, Decision, confidence, decide, prediction_set, probabilities

PROBS = np.array([0.1, 0.5, 0.15, 0.25])


def test_probabilities_are_scipys_softmax_of_logits_over_temperature() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)

    np.testing.assert_allclose(probabilities(logits, 1.7), softmax(logits.astype(np.float64) / 1.7, axis=1))


def test_huge_logits_do_not_overflow() -> None:
    np.testing.assert_allclose(probabilities(np.array([[1e4, 0.0]], dtype=np.float32), 0.5), [[1.0, 0.0]])


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, "answer"), (0.5, "answer"), (0.51, "unsure")])
def test_an_answer_needs_at_least_the_threshold(threshold: float, expected: str) -> None:
    assert decide(PROBS, Calibration(confidence_threshold=threshold)) == expected


@pytest.mark.parametrize(
    ("quantile", "expected"),
    [(0.0, [1]), (0.49, [1]), (0.5, [1, 3]), (0.8, [1, 3, 2]), (1.0, [1, 3, 2, 0])],
)
def test_a_class_is_in_the_set_when_the_more_probable_weigh_at_most_the_quantile(
    quantile: float, expected: list[int]
) -> None:
    assert prediction_set(PROBS, Calibration(conformal_quantile=quantile)) == expected


@pytest.mark.parametrize(
    ("unknown", "no_plant", "expected"),
    [(False, True, "answer"), (True, False, "unknown"), (True, True, "not a leaf"), (False, False, "answer")],
)
def test_only_an_unknown_photo_without_a_plants_colour_is_not_a_leaf(
    unknown: bool, no_plant: bool, expected: str
) -> None:
    assert decide(PROBS, Calibration(), unknown=unknown, no_plant=no_plant) == expected


@pytest.mark.parametrize(
    ("probability", "word"),
    [(0.95, "almost certain"), (0.94, "likely"), (0.8, "likely"), (0.5, "possible"), (0.49, "doubtful")],
)
def test_certainty_in_words_follows_the_probability(probability: float, word: str) -> None:
    assert confidence(probability, "answer") == word


@pytest.mark.parametrize("decision", ["unknown", "not a leaf"])
def test_no_word_of_certainty_is_given_where_there_is_no_answer(decision: Decision) -> None:
    assert confidence(0.99, decision) == "none"
