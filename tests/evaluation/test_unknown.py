"""Photos of none of the learned classes: scores as others compute them, and the rule that a checkpoint carries."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import log_softmax
from sklearn.covariance import ShrunkCovariance
from sklearn.metrics import roc_auc_score, roc_curve

from plantset.evaluation import unknown as unknown_module
from plantset.evaluation.calibration import fit
from plantset.evaluation.unknown import (
    auroc,
    draw_non_photos,
    fit_unknown_rule,
    fpr_at_95,
    mahalanobis,
    max_softmax,
    nearest_mean,
    nearest_neighbour,
    score_unknown,
)
from plantset.models.decision import UnknownRule, calibration_from_json, decide, energy, is_unknown

NUM_CLASSES, NUM_FEATURES = 4, 12


def draw_known(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features around one centre a class, the same centres for every seed."""
    centres = np.random.default_rng(99).normal(scale=4.0, size=(NUM_CLASSES, NUM_FEATURES))
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % NUM_CLASSES
    return centres[labels] + rng.normal(size=(count, NUM_FEATURES)), labels.astype(np.int64)


def draw_strange(count: int, seed: int = 5) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(scale=4.0, size=(count, NUM_FEATURES))


def answers(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits and features of a classifier that reads off the first of them."""
    return features[:, :NUM_CLASSES], features


def test_the_area_under_the_curve_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(0.5, 1, 80).round(1), rng.normal(0, 1, 50).round(1)  # rounded: with ties

    expected = roc_auc_score(np.r_[np.ones(80), np.zeros(50)], np.r_[known, unknown])

    assert auroc(known, unknown) == pytest.approx(expected)


def test_the_share_that_passes_is_read_off_scikit_learns_curve() -> None:
    rng = np.random.default_rng(1)
    known, unknown = rng.normal(1, 1, 100), rng.normal(0, 1, 60)

    fpr, tpr, _ = roc_curve(np.r_[np.ones(100), np.zeros(60)], np.r_[known, unknown], drop_intermediate=False)

    assert fpr_at_95(known, unknown) == pytest.approx(fpr[np.searchsorted(tpr, 0.95)], abs=1 / 60)


def test_max_softmax_and_energy_of_two_equal_logits_are_those_worked_out_by_hand() -> None:
    logits = np.array([[3.0, 3.0]])

    assert max_softmax(logits)[0] == pytest.approx(0.5)
    assert energy(logits)[0] == pytest.approx(3 + np.log(2))


def test_mahalanobis_is_scipys_distance_to_the_nearest_mean() -> None:
    features, labels = draw_known(200, 0)
    means = np.stack([features[labels == index].mean(axis=0) for index in range(NUM_CLASSES)])
    covariance = ShrunkCovariance(shrinkage=0.1, assume_centered=True).fit(features - means[labels]).covariance_
    asked = draw_strange(10)

    distance = cdist(asked, means, "mahalanobis", VI=np.linalg.inv(covariance)).min(axis=1)

    np.testing.assert_allclose(mahalanobis(features, labels, asked), -(distance**2), rtol=1e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_the_nearest_neighbour_of_a_known_photo_is_itself_first(k: int) -> None:
    features, _ = draw_known(40, 0)

    nearest = nearest_neighbour(features, features, k)

    assert (nearest == pytest.approx(1.0)) == (k == 1)


def test_strange_photos_are_refused_and_known_ones_kept_as_stated() -> None:
    features, labels = draw_known(400, 0)
    rule = fit_unknown_rule(features, labels, answers(draw_known(400, 1)[0]), known_error=0.05)

    assert rule is not None
    new = rule.familiarity(*answers(draw_known(2000, 2)[0])) < rule.threshold
    strange = rule.familiarity(*answers(draw_strange(500))) < rule.threshold
    assert new.mean() == pytest.approx(0.05, abs=0.03)
    assert strange.mean() > 0.75


def test_the_packed_rule_adds_energy_and_class_mean_in_units_of_their_spread() -> None:
    features, labels = draw_known(100, 0)
    others, asked = draw_known(60, 1)[0], draw_strange(20)

    rule = fit_unknown_rule(features, labels, answers(others), known_error=0.05)

    assert rule is not None
    parts = [
        (nearest_mean(features, labels, asked), nearest_mean(features, labels, others)),
        (energy(asked[:, :NUM_CLASSES]), energy(others[:, :NUM_CLASSES])),
    ]
    expected = sum((score - known.mean()) / known.std() for score, known in parts)
    np.testing.assert_allclose(rule.familiarity(*answers(asked)), expected, atol=0.1)


def test_log_probabilities_have_no_energy_and_class_means_decide_alone() -> None:
    features, labels = draw_known(400, 0)
    others, asked = draw_known(400, 1)[0], draw_known(500, 2)[0]
    log_probs = log_softmax(10 * others[:, :NUM_CLASSES], axis=1)

    rule = fit_unknown_rule(features, labels, (log_probs, others), known_error=0.05)

    assert rule is not None
    seen = [log_softmax(scale * asked[:, :NUM_CLASSES], axis=1) for scale in (10, 1)]
    np.testing.assert_array_equal(rule.familiarity(seen[0], asked), rule.familiarity(sum(seen) / 2, asked))
    assert (rule.familiarity(seen[0], asked) < rule.threshold).mean() == pytest.approx(0.05, abs=0.03)


def test_photos_with_low_logits_and_photos_far_from_every_mean_are_both_unfamiliar() -> None:
    features, labels = draw_known(400, 0)
    logits = 10.0 * np.eye(NUM_CLASSES)[labels] + np.random.default_rng(3).normal(size=(400, NUM_CLASSES))
    rule = fit_unknown_rule(features, labels, (logits, draw_known(400, 1)[0]), known_error=0.05)

    assert rule is not None
    assert (rule.familiarity(np.zeros_like(logits), features) < rule.threshold).all()
    assert (rule.familiarity(logits[:100], -features[:100]) < rule.threshold).mean() > 0.9


def test_a_rule_of_an_earlier_version_goes_by_the_class_means_alone() -> None:
    features, labels = draw_known(100, 0)
    rule = fit_unknown_rule(features, labels, answers(features), known_error=0.05)
    assert rule is not None
    kept = ("threshold", "known_error", "num_photos", "num_features", "means_CF", "centre_F", "scale_F")

    earlier = UnknownRule(**{name: getattr(rule, name) for name in kept})

    asked = draw_strange(20)
    np.testing.assert_allclose(earlier.familiarity(*answers(asked)), nearest_mean(features, labels, asked), atol=2e-3)


@pytest.mark.parametrize("width", [0, NUM_FEATURES])
def test_no_rule_is_fitted_without_features_or_with_one_class(width: int) -> None:
    features = draw_known(20, 0)[0][:, :width]

    calibration = np.zeros((20, NUM_CLASSES)), features
    assert fit_unknown_rule(features, np.zeros(20, dtype=np.int64), calibration, known_error=0.05) is None


def test_a_fitted_calibration_survives_json() -> None:
    features, labels = draw_known(200, 0)
    half = np.arange(200) < 100
    fitted = fit(
        features[:, :NUM_CLASSES],
        features,
        labels,
        selection=np.flatnonzero(half),
        calibration=np.flatnonzero(~half),
    )

    restored = calibration_from_json(json.loads(json.dumps(dataclasses.asdict(fitted))))

    assert restored == fitted
    assert restored.unknown is not None
    familiarities = restored.unknown.familiarity(*answers(draw_strange(50)))
    assert np.mean([is_unknown(float(value), restored) for value in familiarities]) > 0.5


def test_a_calibration_of_an_earlier_version_calls_nothing_unknown() -> None:
    earlier = calibration_from_json(
        {"temperature": 1.5, "confidence_threshold": 0.4, "conformal_quantile": 0.8, "num_photos": 9}
    )

    assert not is_unknown(-1e9, earlier)
    assert decide(np.array([0.9, 0.1]), earlier) == "answer"


@pytest.mark.parametrize("later", [{"colour_gain": 1.0}, {"unknown": {"threshold": 0.0, "colour_gain": 1.0}}])
def test_a_calibration_of_a_later_version_is_refused_by_the_field_that_it_adds(later: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="colour_gain"):
        calibration_from_json(later)


def test_an_unknown_photo_gets_no_answer_however_sure_the_model_is() -> None:
    assert decide(np.array([0.99, 0.01]), calibration_from_json({}), unknown=True) == "unknown"


def test_the_interval_holds_the_score_and_counts_leaves() -> None:
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(1, 1, 60), rng.normal(0, 1, 40)

    scores = score_unknown(
        "noise",
        known,
        np.arange(60) // 2,
        unknown,
        np.arange(40) // 4,
        threshold=0.0,
        bootstrap_count=200,
        rng=np.random.default_rng(0),
    )

    assert (scores.num_photos, scores.num_groups) == (40, 10)
    assert scores.auroc.low is not None
    assert scores.auroc.high is not None
    assert scores.auroc.low < scores.auroc.value < scores.auroc.high
    assert scores.refused == pytest.approx((unknown < 0).mean())


def test_non_photos_are_drawn_the_same_for_the_same_seed() -> None:
    first = draw_non_photos(32, 3, np.random.default_rng(0))
    second = draw_non_photos(32, 3, np.random.default_rng(0))

    assert {kind: pictures.shape for kind, pictures in first.items()} == dict.fromkeys(first, (3, 32, 32, 3))
    assert all((first[kind] == second[kind]).all() for kind in first)
    assert first["black"].max() < 12


def test_leaves_are_drawn_whole_as_often_as_the_generator_says() -> None:
    groups = np.array([3, 1, 1, 0, 3, 3, 2], dtype=np.int64)
    rows = [np.flatnonzero(groups == group) for group in range(4)]
    expected = np.concatenate([rows[at] for at in np.random.default_rng(4).integers(4, size=4)])

    drawn = unknown_module._resample(unknown_module._leaves(groups), np.random.default_rng(4))

    np.testing.assert_array_equal(drawn, expected)
