"""How well the classes are named: scores over the classes that are present, with intervals by leaf groups.

scikit-learn computes the scores, always with `labels=np.unique(labels)`: over all labels, absent classes would
count 0 in F1 and make the AUC nan. Pure functions over arrays; nothing here knows the model.

Dimensions: N photos, C classes, G groups, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn import metrics

from plantset.evaluation.intervals import (
    Estimate,
    bootstrap_totals,
    group_sums,
    mean_estimate,
    percentile_estimate,
    renumber_groups,
)

TOP_K = 5


@dataclass(frozen=True)
class Truth:
    """What is known of the scored photos without the model.

    Attributes:
        labels_N: class index of each photo.
        group_index_N: group number of each photo, from `intervals.index_groups`.
        class_names: class ids in index order.
        crops: crop of each class; None where a class names no one crop.
        styles, sources: per photo ("lab", "field", …; the collection); None where unknown.
    """

    labels_N: NDArray[np.int64]
    group_index_N: NDArray[np.int64]
    class_names: tuple[str, ...]
    crops: tuple[str | None, ...]
    styles: tuple[str | None, ...]
    sources: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class; the scores are None where no photo of it was there to be scored."""

    class_id: str
    support: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """Photos of `true` that were called `predicted`: how many, and which share of the photos of `true`."""

    true: str
    predicted: str
    count: int
    share: float
    same_crop: bool


@dataclass(frozen=True, slots=True)
class SubsetScore:
    """The photos of one style, source or crop.

    Attributes:
        right_crop_wrong_disease: share of its photos with the right plant and the wrong class; None where the class
            of none names a crop.
    """

    name: str
    num_photos: int
    num_classes_scored: int
    accuracy: Estimate
    macro_f1: Estimate
    right_crop_wrong_disease: float | None


@dataclass(frozen=True, slots=True)
class ClassificationScores:
    """All that is said of the classifier on one set of photos.

    Attributes:
        num_photos, num_groups: what the scores and their intervals rest on.
        num_classes_scored: classes with at least one photo; every mean over classes is over these.
        top5: right class among the five most probable; None with five classes or fewer, where it says nothing.
        auc_macro, auc_weighted: one-vs-rest; None when only one class is present.
        mcc: Matthews correlation coefficient, multi-class; 0 is chance.
        crop_accuracy: right plant, over `num_photos_with_crop` photos whose class names a crop; None without any.
        right_crop_wrong_disease: share of those photos with the right plant and the wrong class.
        per_class: in index order. confusions: the commonest first.
    """

    num_photos: int
    num_groups: int
    num_classes: int
    num_classes_scored: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    top5: Estimate | None
    macro_f1: Estimate
    weighted_f1: float
    auc_macro: float | None
    auc_weighted: float | None
    mcc: float
    num_photos_with_crop: int
    crop_accuracy: Estimate | None
    right_crop_wrong_disease: float | None
    per_class: tuple[ClassScore, ...]
    confusions: tuple[Confusion, ...]
    by_style: tuple[SubsetScore, ...]
    by_source: tuple[SubsetScore, ...]
    by_crop: tuple[SubsetScore, ...]


def score_classification(
    probs_NC: NDArray[np.floating], truth: Truth, *, bootstrap_count: int, rng: np.random.Generator
) -> ClassificationScores:
    """Score class probabilities against the truth.

    Args:
        probs_NC: non-negative; only their order matters, except for the AUC, which compares them between photos.

    Raises:
        ValueError: no photo, or sizes that differ.
    """
    labels, groups = truth.labels_N, truth.group_index_N
    if len(labels) == 0 or probs_NC.shape != (len(labels), len(truth.class_names)):
        raise ValueError(f"probabilities {probs_NC.shape} for {len(labels)} labels, {len(truth.class_names)} classes")
    predicted = probs_NC.argmax(axis=1)
    present = np.unique(labels)
    right = predicted == labels
    accuracy = mean_estimate(right, groups, bootstrap_count, rng)
    balanced, macro_f1 = _class_means(predicted, labels, groups, bootstrap_count, rng)
    auc_macro, auc_weighted = roc_auc(probs_NC, labels)
    num_with_crop, crop_accuracy, wrong_disease = _score_crops(predicted, truth, bootstrap_count, rng)
    in_top = in_top_k(probs_NC, labels, TOP_K)
    return ClassificationScores(
        num_photos=len(labels),
        num_groups=int(groups.max()) + 1,
        num_classes=len(truth.class_names),
        num_classes_scored=len(present),
        accuracy=accuracy,
        balanced_accuracy=balanced,
        top5=mean_estimate(in_top, groups, bootstrap_count, rng) if probs_NC.shape[1] > TOP_K else None,
        macro_f1=macro_f1,
        weighted_f1=float(metrics.f1_score(labels, predicted, labels=present, average="weighted", zero_division=0)),
        auc_macro=auc_macro,
        auc_weighted=auc_weighted,
        mcc=float(metrics.matthews_corrcoef(labels, predicted)),
        num_photos_with_crop=num_with_crop,
        crop_accuracy=crop_accuracy,
        right_crop_wrong_disease=wrong_disease,
        per_class=_score_each_class(predicted, labels, truth.class_names),
        confusions=find_confusions(predicted, truth),
        by_style=_score_subsets(predicted, truth, truth.styles, bootstrap_count, rng),
        by_source=_score_subsets(predicted, truth, truth.sources, bootstrap_count, rng),
        by_crop=_score_subsets(predicted, truth, [truth.crops[label] for label in labels], bootstrap_count, rng),
    )


def in_top_k(probs_NC: NDArray[np.floating], labels_N: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Tell for each photo whether its class is among the k most probable; ties go to the lower index, as argmax."""
    true_N1 = np.take_along_axis(probs_NC, labels_N[:, None], axis=1)
    above = (probs_NC > true_N1).sum(axis=1)
    lower_index = np.arange(probs_NC.shape[1])[None, :] < labels_N[:, None]
    return np.asarray(above + ((probs_NC == true_N1) & lower_index).sum(axis=1) < k)


def roc_auc(probs_NC: NDArray[np.floating], labels_N: NDArray[np.int64]) -> tuple[float, float] | tuple[None, None]:
    """Return the one-vs-rest area under the ROC curve, (macro, weighted by support), over the present classes."""
    present, support = np.unique(labels_N, return_counts=True)
    if len(present) < 2:
        return None, None
    areas = [metrics.roc_auc_score(labels_N == index, probs_NC[:, index]) for index in present]
    return float(np.mean(areas)), float(np.average(areas, weights=support))


def count_confusions(
    predicted_N: NDArray[np.int64], labels_N: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """Return the confusion matrix (C, C), rows true, columns predicted, over all classes."""
    return np.bincount(labels_N * num_classes + predicted_N, minlength=num_classes**2).reshape(num_classes, -1)


def find_confusions(predicted_N: NDArray[np.int64], truth: Truth, *, limit: int = 20) -> tuple[Confusion, ...]:
    """Return the commonest pairs (true, predicted) that differ, most photos first, then by name."""
    counts_CC = count_confusions(predicted_N, truth.labels_N, len(truth.class_names))
    support_C = counts_CC.sum(axis=1)
    np.fill_diagonal(counts_CC, 0)
    pairs = [(int(true), int(wrong)) for true, wrong in np.argwhere(counts_CC)]
    pairs.sort(key=lambda pair: (-counts_CC[pair], pair))
    return tuple(
        Confusion(
            true=truth.class_names[true],
            predicted=truth.class_names[wrong],
            count=int(counts_CC[true, wrong]),
            share=float(counts_CC[true, wrong] / support_C[true]),
            same_crop=truth.crops[true] is not None and truth.crops[true] == truth.crops[wrong],
        )
        for true, wrong in pairs[:limit]
    )


def score_macro_f1(
    predicted_N: NDArray[np.int64],
    labels_N: NDArray[np.int64],
    group_index_N: NDArray[np.int64],
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> Estimate:
    """Return the mean F1 over the classes that are present, with its interval."""
    return _class_means(predicted_N, labels_N, group_index_N, bootstrap_count, rng)[1]


def paired_macro_f1(
    first_N: NDArray[np.int64],
    second_N: NDArray[np.int64],
    labels_N: NDArray[np.int64],
    group_index_N: NDArray[np.int64],
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> Estimate:
    """Return macro-F1 of the second answers minus that of the first, both on the same resampled leaves."""
    seed = int(rng.integers(2**63))
    (first, first_R), (second, second_R) = (
        _macro_f1_samples(predicted, labels_N, group_index_N, bootstrap_count, np.random.default_rng(seed))
        for predicted in (first_N, second_N)
    )
    return percentile_estimate(second - first, second_R - first_R, int(group_index_N.max()) + 1)


def _macro_f1_samples(
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> tuple[float, NDArray[np.float64]]:
    present = np.unique(labels)
    _, f1_R = _class_mean_samples(predicted, labels, groups, count, rng)
    return float(metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0)), f1_R


def _class_means(
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> tuple[Estimate, Estimate]:
    """Return (balanced accuracy, macro-F1) with their intervals."""
    present = np.unique(labels)
    recall_R, f1_R = _class_mean_samples(predicted, labels, groups, count, rng)
    recall = metrics.recall_score(labels, predicted, labels=present, average="macro", zero_division=0)
    f1 = metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    num_groups = int(groups.max()) + 1
    return (
        percentile_estimate(float(recall), recall_R, num_groups),
        percentile_estimate(float(f1), f1_R, num_groups),
    )


def _class_mean_samples(
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (balanced accuracy, macro-F1) of each resample, over the classes that it has, as the scores do."""
    width = int(max(labels.max(), predicted.max())) + 1
    true_NC, predicted_NC = _one_hot(labels, width), _one_hot(predicted, width)
    columns = scipy.sparse.hstack([true_NC.multiply(predicted_NC), predicted_NC, true_NC], format="csr")
    totals = bootstrap_totals(group_sums(columns, groups), count, rng)
    hits_RC, called_RC, support_RC = np.split(totals, 3, axis=1)
    has_RC = support_RC > 0
    num_present_R = has_RC.sum(axis=1)
    recall_R = np.divide(hits_RC, support_RC, out=np.zeros_like(hits_RC), where=has_RC).sum(axis=1) / num_present_R
    f1_RC = np.divide(2 * hits_RC, called_RC + support_RC, out=np.zeros_like(hits_RC), where=has_RC)
    return recall_R, f1_RC.sum(axis=1) / num_present_R


def _one_hot(indices: NDArray[np.int64], width: int) -> scipy.sparse.csr_array:
    rows = np.arange(len(indices))
    return scipy.sparse.csr_array((np.ones(len(indices)), (rows, indices)), shape=(len(indices), width))


def _score_crops(
    predicted: NDArray[np.int64], truth: Truth, count: int, rng: np.random.Generator
) -> tuple[int, Estimate | None, float | None]:
    numbers = {crop: number for number, crop in enumerate(sorted({crop for crop in truth.crops if crop}))}
    crop_of_class = np.array([numbers[crop] if crop else -1 for crop in truth.crops])
    true_crop = crop_of_class[truth.labels_N]
    known = true_crop >= 0
    if not known.any():
        return 0, None, None
    right_crop = (crop_of_class[predicted] == true_crop)[known]
    right_class = (predicted == truth.labels_N)[known]
    groups = renumber_groups(truth.group_index_N[known])
    return (
        int(known.sum()),
        mean_estimate(right_crop, groups, count, rng),
        float((right_crop & ~right_class).mean()),
    )


def _score_each_class(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], class_names: Sequence[str]
) -> tuple[ClassScore, ...]:
    indices = np.arange(len(class_names))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=indices, zero_division=0
    )
    called = np.bincount(predicted, minlength=len(class_names))
    return tuple(
        ClassScore(
            class_id=class_id,
            support=int(support[index]),
            predicted=int(called[index]),
            precision=float(precision[index]) if support[index] and called[index] else None,
            recall=float(recall[index]) if support[index] else None,
            f1=float(f1[index]) if support[index] else None,
        )
        for index, class_id in enumerate(class_names)
    )


def _score_subsets(
    predicted: NDArray[np.int64],
    truth: Truth,
    names: Sequence[str | None],
    count: int,
    rng: np.random.Generator,
) -> tuple[SubsetScore, ...]:
    scores = []
    crop_of = np.array([crop or "" for crop in truth.crops])
    true_crops, called_crops = crop_of[truth.labels_N], crop_of[predicted]
    for name in sorted({name for name in names if name is not None}):
        chosen = np.array([other == name for other in names])
        labels, called = truth.labels_N[chosen], predicted[chosen]
        groups = renumber_groups(truth.group_index_N[chosen])
        known = chosen & (true_crops != "")
        other_disease = (true_crops == called_crops) & (truth.labels_N != predicted)
        scores.append(
            SubsetScore(
                name=name,
                num_photos=len(labels),
                num_classes_scored=len(np.unique(labels)),
                accuracy=mean_estimate(labels == called, groups, count, rng),
                macro_f1=score_macro_f1(called, labels, groups, bootstrap_count=count, rng=rng),
                right_crop_wrong_disease=float(other_disease[known].mean()) if known.any() else None,
            )
        )
    return tuple(scores)
