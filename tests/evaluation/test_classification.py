from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from plantset.evaluation.classification import (
    ClassificationScores,
    Truth,
    count_confusions,
    in_top_k,
    roc_auc,
    score_classification,
)

CLASSES = ("maize--rust", "potato--late-blight", "tomato--early-blight", "tomato--late-blight", "user--x", "user--y")
CROPS = ("maize", "potato", "tomato", "tomato", None, None)


def make_truth(labels: list[int], groups: list[int] | None = None, styles: tuple[str | None, ...] = ()) -> Truth:
    return Truth(
        labels_N=np.array(labels, dtype=np.int64),
        group_index_N=np.array(groups or range(len(labels)), dtype=np.int64),
        class_names=CLASSES,
        crops=CROPS,
        styles=styles or (None,) * len(labels),
        sources=(None,) * len(labels),
    )


def one_hot(answers: list[int]) -> NDArray[np.float64]:
    return np.eye(len(CLASSES))[answers] * 0.9 + 0.1 / len(CLASSES)


def score(answers: list[int], truth: Truth, bootstrap_count: int = 200) -> ClassificationScores:
    return score_classification(one_hot(answers), truth, bootstrap_count=bootstrap_count, rng=np.random.default_rng(0))


@pytest.fixture
def random_case() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 5, size=120)  # class 5 never occurs
    logits = rng.normal(size=(120, 6))
    logits[np.arange(120), labels] += 1.0
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probs, labels


def test_scores_of_four_photos_are_those_worked_out_by_hand() -> None:
    """Truth a a b c, answers a b b b: recalls 1/2, 1, 0 and F1s 2/3, 1/2, 0."""
    scores = score([0, 1, 1, 1], make_truth([0, 0, 1, 2]))

    assert scores.accuracy.value == pytest.approx(2 / 4)
    assert scores.balanced_accuracy.value == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert scores.macro_f1.value == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert scores.weighted_f1 == pytest.approx((2 * 2 / 3 + 1 / 2 + 0) / 4)


def test_absent_classes_are_null_and_not_in_the_means() -> None:
    scores = score([0, 0, 1], make_truth([0, 0, 1]))

    assert scores.macro_f1.value == 1.0
    assert (scores.num_classes_scored, scores.num_classes) == (2, 6)
    assert [row.f1 for row in scores.per_class] == [1.0, 1.0, None, None, None, None]


def test_a_class_never_called_has_no_precision() -> None:
    scores = score([0, 0], make_truth([0, 1]))

    assert scores.per_class[1].precision is None
    assert scores.per_class[1].recall == 0.0


def test_scores_equal_scikit_learns_over_present_classes(
    random_case: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> None:
    probs, labels = random_case
    truth = make_truth(labels.tolist())
    present = np.unique(labels)
    predicted = probs.argmax(axis=1)

    scores = score_classification(probs, truth, bootstrap_count=0, rng=np.random.default_rng(0))

    expected_f1 = metrics.f1_score(labels, predicted, labels=present, average="macro")
    assert scores.macro_f1.value == pytest.approx(expected_f1)
    assert scores.mcc == pytest.approx(metrics.matthews_corrcoef(labels, predicted))
    assert scores.top5 is not None
    assert scores.top5.value == pytest.approx(metrics.top_k_accuracy_score(labels, probs, k=5, labels=range(6)))


def test_auc_equals_scikit_learns_when_all_classes_are_present() -> None:
    rng = np.random.default_rng(2)
    labels = np.arange(60) % 3
    probs = rng.dirichlet(np.ones(3), size=60)

    macro, weighted = roc_auc(probs, labels)

    assert macro == pytest.approx(metrics.roc_auc_score(labels, probs, multi_class="ovr", average="macro"))
    assert weighted == pytest.approx(metrics.roc_auc_score(labels, probs, multi_class="ovr", average="weighted"))


def test_auc_is_a_number_when_classes_are_absent(
    random_case: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> None:
    macro, weighted = roc_auc(*random_case)

    assert macro is not None
    assert weighted is not None
    assert 0.5 < macro < 1.0


def test_a_single_class_has_no_auc() -> None:
    scores = score([0, 1], make_truth([0, 0]))

    assert scores.auc_macro is None


def test_a_perfect_model_scores_one_everywhere() -> None:
    labels = [0, 1, 2, 3, 4, 5] * 3

    scores = score(labels, make_truth(labels))

    assert scores.accuracy.value == scores.macro_f1.value == scores.auc_macro == scores.mcc == 1.0
    assert scores.confusions == ()


def test_a_model_that_is_always_wrong_scores_zero() -> None:
    labels = [0, 1, 2, 3]

    scores = score([1, 2, 3, 0], make_truth(labels))

    assert scores.accuracy.value == scores.macro_f1.value == scores.balanced_accuracy.value == 0.0
    assert scores.accuracy.high is not None
    assert scores.accuracy.high > 0.2  # four leaves do not prove that it is never right


def test_right_plant_and_wrong_disease_is_told_apart() -> None:
    """Tomato early called tomato late (right plant), potato called tomato (wrong), one all right, one without crop."""
    scores = score([3, 3, 0, 0], make_truth([2, 1, 0, 4]))

    assert scores.num_photos_with_crop == 3
    assert scores.crop_accuracy is not None
    assert scores.crop_accuracy.value == pytest.approx(2 / 3)
    assert scores.right_crop_wrong_disease == pytest.approx(1 / 3)


def test_classes_without_crop_give_no_crop_accuracy() -> None:
    scores = score([4, 5], make_truth([4, 5]))

    assert scores.crop_accuracy is None


def test_the_commonest_confusion_comes_first() -> None:
    scores = score([3, 3, 2, 0, 0], make_truth([2, 2, 2, 0, 1]))

    first = scores.confusions[0]
    assert (first.true, first.predicted, first.count) == ("tomato--early-blight", "tomato--late-blight", 2)
    assert first.share == pytest.approx(2 / 3)
    assert first.same_crop


def test_styles_are_scored_apart() -> None:
    scores = score([0, 0, 1, 0], make_truth([0, 0, 1, 1], styles=("lab", "lab", "field", "field")))

    assert [(row.name, row.num_photos, row.accuracy.value) for row in scores.by_style] == [
        ("field", 2, 0.5),
        ("lab", 2, 1.0),
    ]


def test_the_macro_f1_interval_holds_its_value(
    random_case: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> None:
    probs, labels = random_case

    scores = score_classification(probs, make_truth(labels.tolist()), bootstrap_count=500, rng=np.random.default_rng(0))

    assert scores.macro_f1.low is not None
    assert scores.macro_f1.high is not None
    assert scores.macro_f1.low < scores.macro_f1.value < scores.macro_f1.high
    assert 0.05 < scores.macro_f1.high - scores.macro_f1.low < 0.3


def test_a_resampled_macro_f1_equals_scikit_learns_on_the_resampled_photos() -> None:
    """Groups drawn with replacement, scored by scikit-learn photo by photo, give the same interval."""
    rng = np.random.default_rng(8)
    labels, answers = rng.integers(0, 4, size=30), rng.integers(0, 4, size=30)
    drawn = np.random.default_rng(0).integers(30, size=(50, 30))
    slow = [
        metrics.f1_score(labels[rows], answers[rows], labels=np.unique(labels[rows]), average="macro", zero_division=0)
        for rows in drawn
    ]
    from plantset.evaluation.classification import score_macro_f1

    estimate = score_macro_f1(answers, labels, np.arange(30), bootstrap_count=50, rng=np.random.default_rng(0))

    assert (estimate.low, estimate.high) == pytest.approx(tuple(np.percentile(slow, (2.5, 97.5))))


def test_top_k_breaks_ties_as_argmax_does() -> None:
    probs = np.full((2, 3), 1 / 3)

    assert in_top_k(probs, np.array([0, 1]), 1).tolist() == [True, False]


def test_top5_of_five_classes_is_not_given() -> None:
    truth = Truth(np.array([0, 1]), np.array([0, 1]), ("a", "b"), (None, None), (None, None), (None, None))

    scores = score_classification(np.eye(2), truth, bootstrap_count=0, rng=np.random.default_rng(0))

    assert scores.top5 is None


def test_the_confusion_matrix_has_the_truth_in_rows() -> None:
    counts = count_confusions(np.array([1, 1, 0]), np.array([0, 0, 1]), 3)

    assert counts.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ValueError, match="0 labels"):
        score_classification(np.empty((0, 6)), make_truth([]), bootstrap_count=0, rng=np.random.default_rng(0))


def test_each_crop_tells_a_wrong_disease_from_a_wrong_plant() -> None:
    """Tomato: one right, one called the other tomato disease, one called maize, one more right."""
    scores = score([3, 2, 0, 2, 0], make_truth([3, 3, 3, 2, 0]))

    tomato = next(row for row in scores.by_crop if row.name == "tomato")

    assert tomato.num_photos == 4
    assert tomato.accuracy.value == 0.5
    assert tomato.right_crop_wrong_disease == 0.25


def test_photos_of_classes_without_a_crop_are_in_no_row_by_crop() -> None:
    scores = score([4, 5, 0], make_truth([4, 4, 0]))

    assert [row.name for row in scores.by_crop] == ["maize"]
