from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from plantset.evaluation.calibration import (
    MIN_CLASS_PHOTOS,
    NEVER_ANSWER,
    CalibrationScores,
    bin_confidences,
    class_conditional_quantiles,
    confidence_threshold,
    conformal_quantile,
    fit_temperature,
    score_calibration,
)
from plantset.evaluation.intervals import Estimate
from plantset.models.decision import Calibration, prediction_set, prediction_sets, probabilities


def measure(
    logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    temperature: float,
    *,
    groups: NDArray[np.int64] | None = None,
    num_bins: int = 15,
) -> CalibrationScores:
    """Score with each photo a leaf of its own, where nothing else is said."""
    return score_calibration(
        logits,
        labels,
        temperature,
        np.arange(len(labels)) if groups is None else groups,
        bootstrap_count=500,
        rng=np.random.default_rng(0),
        num_bins=num_bins,
    )


def width(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low


def draw_calibrated(count: int, seed: int, num_classes: int = 5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits whose softmax is the truth: each label is drawn from its own row of probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(count, num_classes))
    cumulated = probabilities(logits.astype(np.float32), 1.0).cumsum(axis=1)
    labels = (rng.random((count, 1)) > cumulated).sum(axis=1).clip(max=num_classes - 1)
    return logits, labels.astype(np.int64)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    logits, labels = draw_calibrated(4000, seed=0)

    fitted = fit_temperature(logits * temperature, labels)

    assert fitted == pytest.approx(temperature, rel=0.06)


def test_a_fitted_temperature_lowers_the_error_of_an_overconfident_model() -> None:
    logits, labels = draw_calibrated(3000, seed=1)
    overconfident = logits * 3

    before = measure(overconfident, labels, 1.0)
    after = measure(overconfident, labels, fit_temperature(overconfident, labels))

    assert before.ece.value > 0.1
    assert after.ece.value < 0.03
    assert after.nll.value < before.nll.value
    assert after.brier.value < before.brier.value


def test_a_model_that_is_always_right_is_not_declared_certain() -> None:
    logits = np.array([[4.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 5.0]])
    labels = np.array([0, 1, 2])

    temperature = fit_temperature(logits, labels)

    mean_confidence = probabilities(logits.astype(np.float32), temperature).max(axis=1).mean()
    assert mean_confidence == pytest.approx(4 / 5, abs=1e-5)  # Laplace: (3 + 1) / (3 + 2)


def test_equal_logits_still_give_a_temperature() -> None:
    temperature = fit_temperature(np.zeros((4, 3)), np.zeros(4, dtype=np.int64))

    assert 0 < temperature < 101


def test_scores_of_two_photos_are_those_worked_out_by_hand() -> None:
    """p = (0.75, 0.25) for both, one right and one wrong."""
    logits = np.log(np.array([[0.75, 0.25], [0.75, 0.25]]))

    scores = measure(logits, np.array([0, 1]), 1.0, num_bins=1)

    assert scores.ece.value == pytest.approx(0.25)
    assert scores.brier.value == pytest.approx((2 * 0.25**2 + 2 * 0.75**2) / 2)
    assert scores.nll.value == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)


def test_leaves_of_several_photos_widen_the_intervals_of_nll_and_brier() -> None:
    """Each photo stands four times in the set: as photos that is four times the proof, as leaves it is none."""
    logits, labels = (np.repeat(part, 4, axis=0) for part in draw_calibrated(300, seed=2))

    photos = measure(logits, labels, 1.0)
    leaves = measure(logits, labels, 1.0, groups=np.repeat(np.arange(300), 4))

    for by_photo, by_leaf in ((photos.nll, leaves.nll), (photos.brier, leaves.brier)):
        assert by_leaf.value == by_photo.value
        assert width(by_leaf) == pytest.approx(2 * width(by_photo), rel=0.2)


def test_the_interval_of_the_nll_is_that_of_its_mean() -> None:
    """The bootstrap of a mean spreads by 1.96 standard errors to each side."""
    logits, labels = draw_calibrated(2000, seed=3)
    nll = -np.log(probabilities(logits.astype(np.float32), 1.0)[np.arange(2000), labels])

    found = measure(logits, labels, 1.0).nll

    assert width(found) == pytest.approx(2 * 1.96 * nll.std() / np.sqrt(2000), rel=0.1)


def test_the_interval_of_the_ece_holds_its_value_and_leaves_out_zero_where_a_model_overstates() -> None:
    logits, labels = draw_calibrated(1000, seed=4)

    ece = measure(logits * 3, labels, 1.0).ece

    assert ece.low is not None
    assert ece.high is not None
    assert 0.1 < ece.low <= ece.value <= ece.high


def test_the_ece_of_a_calibrated_model_lies_in_its_interval_though_resamples_only_add_noise() -> None:
    logits, labels = draw_calibrated(500, seed=5)

    ece = measure(logits, labels, 1.0).ece

    assert ece.low is not None
    assert ece.low <= ece.value


def test_bins_hold_equal_numbers_and_lose_no_photo() -> None:
    bins = bin_confidences(np.linspace(0.1, 0.9, 10), np.ones(10, dtype=bool), 4)

    assert [bin_.count for bin_ in bins] == [3, 3, 2, 2]


def test_fewer_photos_than_bins_leave_no_empty_bin() -> None:
    bins = bin_confidences(np.array([0.4, 0.6]), np.array([True, False]), 15)

    assert [bin_.count for bin_ in bins] == [1, 1]


def two_class(confidences: list[float]) -> NDArray[np.float64]:
    top = np.array(confidences)
    return np.column_stack([top, 1 - top])


def test_the_threshold_is_the_lowest_that_keeps_errors_under_the_target() -> None:
    """Surest first: right, right, wrong, right. At 0.6 one error in four."""
    probs = two_class([0.9, 0.8, 0.7, 0.6])
    labels = np.array([0, 0, 1, 0])

    assert confidence_threshold(probs, labels, 0.25) == pytest.approx(0.6)
    assert confidence_threshold(probs, labels, 0.1) == pytest.approx(0.8)


def test_photos_of_equal_confidence_are_answered_together_or_not_at_all() -> None:
    probs = two_class([0.8, 0.8])

    assert confidence_threshold(probs, np.array([0, 1]), 0.1) == NEVER_ANSWER


def test_no_threshold_is_found_when_the_surest_answer_is_wrong() -> None:
    assert confidence_threshold(two_class([0.9, 0.6]), np.array([1, 1]), 0.2) == NEVER_ANSWER


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.3]))
@settings(max_examples=40, deadline=None)
def test_errors_above_the_threshold_never_exceed_the_target(seed: int, target: float) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(4), size=30).round(2)
    labels = rng.integers(0, 4, size=30)

    threshold = confidence_threshold(probs, labels, target)

    answered = probs.max(axis=1) >= threshold
    wrong = probs.argmax(axis=1)[answered] != labels[answered]
    assert not answered.any() or wrong.mean() <= target


def test_prediction_sets_hold_the_true_class_as_often_as_promised() -> None:
    logits, labels = draw_calibrated(6000, seed=2)
    probs = probabilities(logits.astype(np.float32), 0.5)  # wrongly sharp on purpose: coverage must hold all the same

    quantile = conformal_quantile(probs[:3000], labels[:3000], coverage=0.9)

    true = probs[3000:][np.arange(3000), labels[3000:]][:, None]
    above = np.where(probs[3000:] > true, probs[3000:], 0).sum(axis=1)
    assert (above <= quantile).mean() == pytest.approx(0.9, abs=0.025)


def test_too_few_photos_to_promise_coverage_give_every_class() -> None:
    assert conformal_quantile(two_class([0.9] * 5), np.zeros(5, dtype=np.int64), coverage=0.9) == 1.0


def test_nine_photos_are_enough_for_nine_in_ten() -> None:
    assert conformal_quantile(two_class([0.9] * 9), np.zeros(9, dtype=np.int64), coverage=0.9) == 0.0


def test_a_hard_class_gets_its_share_of_right_sets_from_a_quantile_of_its_own() -> None:
    """Class 1 is often mistaken: with the common quantile its sets hold it far less often than promised."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 8000)
    true_prob = np.where(labels == 0, rng.beta(9, 1, 8000), rng.beta(2, 2, 8000))
    probs = np.where(labels[:, None] == np.arange(2), true_prob[:, None], 1 - true_prob[:, None])
    fitted, tested = slice(0, 4000), slice(4000, None)

    common = Calibration(conformal_quantile=conformal_quantile(probs[fitted], labels[fitted]))
    own = Calibration(class_quantiles=class_conditional_quantiles(probs[fitted], labels[fitted]))

    hard = labels[tested] == 1
    covered = {
        name: prediction_sets(probs[tested], calibration)[hard, 1].mean()
        for name, calibration in (("common", common), ("own", own))
    }
    assert covered["common"] < 0.87
    assert covered["own"] == pytest.approx(0.9, abs=0.02)


def test_a_class_of_few_photos_keeps_the_common_quantile() -> None:
    labels = np.array([0] * MIN_CLASS_PHOTOS + [1] * (MIN_CLASS_PHOTOS - 1))

    quantiles = class_conditional_quantiles(two_class([0.9] * len(labels)), labels)

    assert quantiles[0] is not None
    assert quantiles[1] is None


def test_the_sets_of_many_photos_are_those_of_each_alone() -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(6), size=50)
    calibration = Calibration(conformal_quantile=0.5, class_quantiles=(None, 0.9, None, 0.0, None, 0.7))

    members = prediction_sets(probs, calibration)

    assert [sorted(prediction_set(row, calibration)) for row in probs] == [
        np.flatnonzero(row).tolist() for row in members
    ]


@pytest.mark.parametrize("function", [fit_temperature, conformal_quantile])
def test_nothing_can_be_fitted_on_no_photo(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="0 labels"):
        function(np.empty((0, 3)), np.empty(0, dtype=np.int64))
