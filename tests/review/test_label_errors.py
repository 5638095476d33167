"""Confident learning, against values worked out by hand and what cleanlab 2.9.0 answers."""

from __future__ import annotations

import numpy as np
import pytest

from plantset.evaluation.review.label_errors import LabelDoubt, find_label_errors

# Rows: photos; columns: classes 0, 1, 2. Thresholds by hand: class 0 (.9+.8+.1)/3 = .6, class 1 (.7+.9+.2)/3 = .6,
# class 2 (.8+.9)/2 = .85. Confidently elsewhere: row 2 (class 1 at .85) and row 5 (class 0 at .7).
PROBS = np.array(
    [
        [0.90, 0.05, 0.05],
        [0.80, 0.10, 0.10],
        [0.10, 0.85, 0.05],
        [0.20, 0.70, 0.10],
        [0.05, 0.90, 0.05],
        [0.70, 0.20, 0.10],
        [0.10, 0.10, 0.80],
        [0.05, 0.05, 0.90],
    ]
)
LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2])


def ranked(probs: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    classes = np.argsort(-probs, axis=1, kind="stable")[:, :count]
    return classes, np.take_along_axis(probs, classes, axis=1)


def test_the_two_photos_of_the_hand_computed_example_are_found() -> None:
    found = find_label_errors(*ranked(PROBS, 3), LABELS, 3)

    # find_label_issues(LABELS, PROBS, filter_by="low_self_confidence") of cleanlab 2.9.0 gives rows 2 and 5 too
    assert found == [LabelDoubt(2, 1, 0.10, 0.85), LabelDoubt(5, 0, 0.20, 0.70)]


def test_the_order_of_the_photos_does_not_matter() -> None:
    order = np.array([5, 7, 0, 2, 6, 1, 4, 3])

    found = find_label_errors(*ranked(PROBS[order], 3), LABELS[order], 3)

    assert [int(order[doubt.row]) for doubt in found] == [2, 5]


def test_a_label_that_is_not_listed_gets_its_share_of_what_is_left() -> None:
    found = find_label_errors(*ranked(PROBS, 1), LABELS, 3)

    assert [doubt.row for doubt in found] == [2, 5]
    assert [doubt.label_prob for doubt in found] == pytest.approx([0.15 / 2, 0.30 / 2])


def test_right_labels_raise_no_doubt() -> None:
    rows = [0, 1, 3, 4, 6, 7]

    assert find_label_errors(*ranked(PROBS[rows], 3), LABELS[rows], 3) == []


def test_a_class_without_photos_cannot_be_suggested_by_its_threshold() -> None:
    classes, probs = np.array([[2, 0], [0, 1], [1, 0]]), np.array([[0.5, 0.4], [0.9, 0.1], [0.8, 0.2]])

    assert find_label_errors(classes, probs, np.array([0, 0, 1]), 3) == []


def test_missing_candidates_are_no_candidates() -> None:
    classes, probs = np.array([[0, -1], [1, -1]]), np.array([[1.0, 0.0], [1.0, 0.0]])

    assert find_label_errors(classes, probs, np.array([0, 1]), 2) == []


def test_no_photo_has_no_doubt() -> None:
    assert find_label_errors(np.empty((0, 5), np.int64), np.empty((0, 5)), np.empty(0, np.int64), 3) == []


@pytest.mark.parametrize("seed", range(3))
def test_only_swapped_labels_are_found_where_the_model_is_right_and_most_of_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 10, 600)
    probs = rng.dirichlet(np.full(10, 0.1), 600)
    probs[np.arange(600), truth] += 2.0
    probs /= probs.sum(axis=1, keepdims=True)
    given, swapped = truth.copy(), rng.permutation(600)[:30]
    given[swapped] = (given[swapped] + rng.integers(1, 10, 30)) % 10

    found = find_label_errors(*ranked(probs, 5), given, 10)

    rows = {doubt.row for doubt in found}
    assert rows <= set(swapped.tolist())
    assert len(rows) >= 15
