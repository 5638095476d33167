"""Likely label errors by confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068).

A class's threshold is the mean probability that photos of that label are given for it (eq. 2). A photo is confidently
of a class when it passes that class's threshold; among several, of the most probable (eq. 1). How many photos are
confidently of another class than their label, the off-diagonal of the confident joint, is how many labels are likely
wrong. Which ones: of the photos that the model calls otherwise, those whose own label it believes least.

Measured (benchmarks/label_errors.py; 1,170 photos of 378 demo leaves, 28 classes, the first 5 of each photo known) with
8 % of the leaves under any other class: of the first 20 all, of the first 50 98 % were swapped; under another class of
the same crop: 70 and 64 %; of all that are found, 81 and 60 %. With 3 % swapped: 85 and 55 % of the first 20, 67 and
40 % of all. On all probabilities it finds what cleanlab 2.9.0 does (`low_self_confidence`); the confident off-diagonal
photos themselves (its `confident_learning`) hold fewer: 56 % of 94 against 83 %.

Computed from the few most probable classes of each photo, as predictions files hold them; a label that is not among
them gets an even share of what they leave over. The probabilities must be out of sample: a model that learned a wrong
label repeats it.

Dimensions: N photos, K candidates of a photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LabelDoubt:
    """A photo whose label is likely wrong.

    Attributes:
        row: which photo.
        suggested: index of the class that the model says instead.
        label_prob: what the model gives the label, 0..1.
        suggested_prob: what it gives the suggested class.
    """

    row: int
    suggested: int
    label_prob: float
    suggested_prob: float


def find_label_errors(
    classes_NK: NDArray[np.int64], probs_NK: NDArray[np.float64], labels_N: NDArray[np.int64], num_classes: int
) -> list[LabelDoubt]:
    """Return the likely label errors, the likeliest first.

    Args:
        classes_NK: candidates of each photo, as class indices; -1 where a photo has fewer than K.
        probs_NK: their probabilities; 0 where there is none.
        labels_N: class index of each photo's label.
        num_classes: how many class indices there are.
    """
    if not len(labels_N):
        return []
    rows = np.arange(len(labels_N))
    label_probs_N = _label_probs(classes_NK, probs_NK, labels_N, num_classes)
    counts = np.bincount(labels_N, minlength=num_classes)
    sums = np.bincount(labels_N, weights=label_probs_N, minlength=num_classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)  # no photo of a class: nothing to compare
    passes_NK = (classes_NK >= 0) & (probs_NK > 0) & (probs_NK >= thresholds[classes_NK])
    best_N = np.where(passes_NK, probs_NK, -1.0).argmax(axis=1)
    first_N = probs_NK.argmax(axis=1)
    suggested_N, suggested_probs_N = classes_NK[rows, first_N], probs_NK[rows, first_N]
    is_contradicted_N = (suggested_N != labels_N) & (suggested_probs_N > label_probs_N)
    is_confident_N = passes_NK.any(axis=1) & (classes_NK[rows, best_N] != labels_N)
    num_errors = int((is_confident_N & is_contradicted_N).sum())
    contradicted = rows[is_contradicted_N]
    order = np.lexsort((-suggested_probs_N[contradicted], label_probs_N[contradicted]))
    return [
        LabelDoubt(int(row), int(suggested_N[row]), float(label_probs_N[row]), float(suggested_probs_N[row]))
        for row in contradicted[order][:num_errors]
    ]


def _label_probs(
    classes_NK: NDArray[np.int64], probs_NK: NDArray[np.float64], labels_N: NDArray[np.int64], num_classes: int
) -> NDArray[np.float64]:
    is_label_NK = classes_NK == labels_N[:, None]
    left_over_N = np.maximum(1.0 - probs_NK.sum(axis=1), 0.0) / np.maximum(
        num_classes - (classes_NK >= 0).sum(axis=1), 1
    )
    listed_N = np.where(is_label_NK, probs_NK, 0.0).sum(axis=1)
    return np.asarray(np.where(is_label_NK.any(axis=1), listed_N, left_over_N), dtype=np.float64)
