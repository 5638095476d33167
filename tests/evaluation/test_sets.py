"""Promises kept: sets against their coverage, sure answers against their error."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from plantset.evaluation.sets import cumulative_risk, score_selective, score_sets
from plantset.models.decision import Calibration

PROBS = np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.4, 0.35, 0.25]])
LABELS = np.array([0, 1, 2, 0])


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_coverage_and_size_are_those_worked_out_by_hand() -> None:
    """At 0.5 the sets are {0}, {0}, {0, 1}, {0, 1}: the first and the last hold the true class."""
    calibration = Calibration(conformal_quantile=0.5, num_photos=20)

    scores = score_sets(PROBS, LABELS, np.arange(4), calibration, bootstrap_count=100, rng=rng())

    assert scores is not None
    assert scores.coverage.value == 0.5
    assert scores.mean_size.value == 1.5
    assert scores.single_share.value == 0.5


def test_sets_that_were_never_fitted_are_not_scored() -> None:
    assert score_sets(PROBS, LABELS, np.arange(4), Calibration(), bootstrap_count=0, rng=rng()) is None


def test_only_answers_above_the_threshold_count_as_errors() -> None:
    calibration = Calibration(confidence_threshold=0.55)

    scores = score_selective(PROBS, LABELS, np.arange(4), calibration, bootstrap_count=0, rng=rng())

    assert scores.answered.value == 0.5
    assert scores.error is not None
    assert scores.error.value == 0.5


def test_a_model_that_is_never_sure_has_no_error() -> None:
    calibration = Calibration(confidence_threshold=2.0)

    scores = score_selective(PROBS, LABELS, np.arange(4), calibration, bootstrap_count=0, rng=rng())

    assert (scores.num_answered, scores.error) == (0, None)


def test_the_risk_of_answering_everything_is_scikit_learns_error() -> None:
    risk = cumulative_risk(PROBS.max(axis=1), PROBS.argmax(axis=1) != LABELS)

    assert risk[-1] == pytest.approx(1 - accuracy_score(LABELS, PROBS.argmax(axis=1)))
    assert risk[0] == 0.0


def test_the_order_of_equally_sure_photos_does_not_change_the_risk() -> None:
    confidence = np.full(6, 0.7)
    wrong = np.array([True, False, False, True, False, False])

    np.testing.assert_allclose(cumulative_risk(confidence, wrong), cumulative_risk(confidence, wrong[::-1]))
