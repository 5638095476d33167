"""What epochs are judged by: every metric is scikit-learn's, and each has its standard error."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from plantset.training.config_learning import Metric
from plantset.training.metrics import judge_answers

CLASSES, PHOTOS = 8, 60
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, CLASSES - 1, PHOTOS)  # one class is absent
LOGITS = RNG.normal(size=(PHOTOS, CLASSES)) + 1.5 * np.eye(CLASSES)[LABELS]
PREDICTED = LOGITS.argmax(axis=1)
PROBS = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
PRESENT = np.unique(LABELS)

EXPECTED: dict[Metric, float] = {
    "accuracy": metrics.accuracy_score(LABELS, PREDICTED),
    "macro-f1": metrics.f1_score(LABELS, PREDICTED, labels=PRESENT, average="macro"),
    "balanced-accuracy": metrics.recall_score(LABELS, PREDICTED, labels=PRESENT, average="macro"),
    "top5-accuracy": metrics.top_k_accuracy_score(LABELS, LOGITS, k=5, labels=np.arange(CLASSES)),
    "nll": np.exp(-metrics.log_loss(LABELS, PROBS, labels=np.arange(CLASSES))),
}


@pytest.mark.parametrize("metric", EXPECTED)
def test_the_score_is_scikit_learns(metric: Metric) -> None:
    assert judge_answers(LOGITS, LABELS, metric).score == pytest.approx(EXPECTED[metric])


def test_all_metrics_are_logged_whichever_is_asked() -> None:
    values = judge_answers(LOGITS, LABELS, "accuracy").values

    assert set(values) == {"accuracy", "macro_f1", "balanced_accuracy", "top5_accuracy", "nll"}
    assert values["nll"] == pytest.approx(-np.log(EXPECTED["nll"]))


def test_the_error_of_a_share_is_binomial() -> None:
    judged = judge_answers(np.eye(2)[[0] * 80 + [1] * 20] * 9, np.zeros(100, dtype=np.int64), "accuracy")

    assert (judged.score, judged.error) == pytest.approx((0.8, 0.04))


def test_the_error_of_nll_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(1)
    rows = rng.integers(0, PHOTOS, size=(4000, PHOTOS))
    losses = -np.log(PROBS[np.arange(PHOTOS), LABELS])

    resampled = np.exp(-losses[rows].mean(axis=1))

    assert judge_answers(LOGITS, LABELS, "nll").error == pytest.approx(resampled.std(), rel=0.05)


def test_a_lower_nll_is_a_higher_score() -> None:
    surer = judge_answers(LOGITS + 0.5 * np.eye(CLASSES)[LABELS], LABELS, "nll")

    assert surer.score > judge_answers(LOGITS, LABELS, "nll").score
