"""What the photo adds and what the note adds: the same photos under several conditions.

A multimodal score is worth nothing until each half was taken away.

Pure functions over predicted classes; who predicts them, and how cheaply, is `predict`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from plantset.evaluation.classification import score_macro_f1
from plantset.evaluation.intervals import Estimate, mean_estimate, renumber_groups

Condition = Literal["image_only", "note_only", "image_and_note", "wrong_note", "shuffled_image", "empty_note"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
NOT_RUN = -1

GAINS: tuple[tuple[str, Condition, Condition], ...] = (
    ("note_adds", "image_and_note", "image_only"),
    ("image_adds", "image_and_note", "note_only"),
    ("wrong_note_changes", "wrong_note", "image_only"),
    ("shuffled_image_changes", "shuffled_image", "image_and_note"),
)


@dataclass(frozen=True, slots=True)
class ConditionScore:
    """One condition, over the photos that had all it needs."""

    condition: Condition
    num_photos: int
    accuracy: Estimate
    macro_f1: Estimate


@dataclass(frozen=True, slots=True)
class Gain:
    """Accuracy of `condition` minus accuracy of `baseline` on the same photos, with a paired interval."""

    name: str
    condition: Condition
    baseline: Condition
    num_photos: int
    difference: Estimate


@dataclass(frozen=True, slots=True)
class ModalityScores:
    """The conditions side by side.

    Attributes:
        num_photos_with_note: what the comparison rests on; photos without a note are in none of its rows.
        leak: the note alone beats the photo alone: the notes give the class away, or the photo is not read.
        empty_note_changes: answers that an empty note changed; anything but 0 is a fault, padding that is read.
        wrong_note_flips: share of right image-only answers that a note of another class turns wrong.
    """

    num_photos_with_note: int
    conditions: tuple[ConditionScore, ...]
    gains: tuple[Gain, ...]
    leak: bool
    empty_note_changes: int
    wrong_note_flips: float | None


def score_modality(
    predicted: Mapping[Condition, NDArray[np.int64]],
    labels_N: NDArray[np.int64],
    group_index_N: NDArray[np.int64],
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> ModalityScores | None:
    """Compare the conditions on the photos that have a note; None where no photo has one.

    Args:
        predicted: class index of each photo under each condition; `NOT_RUN` where the condition could not be run
            (no note, no other class to take a wrong note from, no other photo to swap with).
    """
    with_note = predicted["note_only"] != NOT_RUN
    if not with_note.any():
        return None
    conditions = [
        _score_condition(condition, predicted[condition], with_note, labels_N, group_index_N, bootstrap_count, rng)
        for condition in CONDITIONS
    ]
    gains = [_measure_gain(gain, predicted, with_note, labels_N, group_index_N, bootstrap_count, rng) for gain in GAINS]
    right = {condition: predicted[condition] == labels_N for condition in CONDITIONS}
    asked_empty = with_note & (predicted["empty_note"] != NOT_RUN)
    sure = with_note & right["image_only"] & (predicted["wrong_note"] != NOT_RUN)
    return ModalityScores(
        num_photos_with_note=int(with_note.sum()),
        conditions=tuple(score for score in conditions if score),
        gains=tuple(gain for gain in gains if gain),
        leak=bool(right["note_only"][with_note].mean() > right["image_only"][with_note].mean()),
        empty_note_changes=int(((predicted["empty_note"] != predicted["image_only"]) & asked_empty).sum()),
        wrong_note_flips=float((~right["wrong_note"][sure]).mean()) if sure.any() else None,
    )


def _score_condition(
    condition: Condition,
    predicted: NDArray[np.int64],
    with_note: NDArray[np.bool_],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> ConditionScore | None:
    ran = with_note & (predicted != NOT_RUN)
    if not ran.any():
        return None
    kept = renumber_groups(groups[ran])
    return ConditionScore(
        condition=condition,
        num_photos=int(ran.sum()),
        accuracy=mean_estimate(predicted[ran] == labels[ran], kept, count, rng),
        macro_f1=score_macro_f1(predicted[ran], labels[ran], kept, bootstrap_count=count, rng=rng),
    )


def _measure_gain(
    gain: tuple[str, Condition, Condition],
    predicted: Mapping[Condition, NDArray[np.int64]],
    with_note: NDArray[np.bool_],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> Gain | None:
    name, condition, baseline = gain
    ran = with_note & (predicted[condition] != NOT_RUN) & (predicted[baseline] != NOT_RUN)
    if not ran.any():
        return None
    better = (predicted[condition] == labels)[ran].astype(np.float64)
    worse = (predicted[baseline] == labels)[ran].astype(np.float64)
    difference = mean_estimate(better - worse, renumber_groups(groups[ran]), count, rng, is_share=False)
    return Gain(name, condition, baseline, int(ran.sum()), difference)
