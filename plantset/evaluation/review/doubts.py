"""Which photos a person should look at first, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from plantset.evaluation.review.answers import PhotoAnswer
from plantset.evaluation.review.label_errors import LabelDoubt, find_label_errors

Reason = Literal["label-error", "conflict", "wrong-sure", "wrong-unsure", "unknown", "unsure"]
REASONS: tuple[Reason, ...] = get_args(Reason)
_TIE = 1e-6  # of two labels that the model believes equally little, the one it contradicts more comes first
_CONFLICT = "label-conflict"  # the issue of copies under two labels


@dataclass(frozen=True, slots=True)
class DoubtfulPhoto:
    """A photo to look at.

    Attributes:
        reasons: all that hold; the first one places it.
    """

    answer: PhotoAnswer
    reasons: tuple[Reason, ...]


def find_doubts(answers: Sequence[PhotoAnswer]) -> list[DoubtfulPhoto]:
    """Return the photos worth a look, in the order of `REASONS`; those that a person has seen already are left out.

    They count in the thresholds of confident learning all the same: their labels are the surest there are.
    """
    names = sorted({name for answer in answers for name, _ in answer.candidates} | {a.record.class_id for a in answers})
    label_doubts = {doubt.row: doubt for doubt in _label_doubts(answers, names)}
    found: list[tuple[tuple[int, float, str], DoubtfulPhoto]] = []
    for row, answer in enumerate(answers):
        doubt = label_doubts.get(row)
        reasons = _reasons(answer, doubt)
        if reasons and answer.record.reviewed is None:
            place = (REASONS.index(reasons[0]), _urgency(answer, doubt, reasons[0]), _place(answer, reasons[0]))
            found.append((place, DoubtfulPhoto(answer, reasons)))
    return [photo for _, photo in sorted(found, key=lambda item: item[0])]


def _label_doubts(answers: Sequence[PhotoAnswer], names: Sequence[str]) -> list[LabelDoubt]:
    index = {name: number for number, name in enumerate(names)}
    width = max((len(answer.candidates) for answer in answers), default=0)
    classes = np.full((len(answers), width), -1, dtype=np.int64)
    probs = np.zeros((len(answers), width))
    for row, answer in enumerate(answers):
        for column, (name, prob) in enumerate(answer.candidates):
            classes[row, column], probs[row, column] = index[name], prob
    labels = np.array([index[answer.record.class_id] for answer in answers], dtype=np.int64)
    return find_label_errors(classes, probs, labels, len(names))


def _reasons(answer: PhotoAnswer, doubt: LabelDoubt | None) -> tuple[Reason, ...]:
    wrong = answer.predicted != answer.record.class_id
    holds: dict[Reason, bool] = {
        "label-error": doubt is not None,
        "conflict": _CONFLICT in answer.record.issues,
        "wrong-sure": wrong and answer.decision == "answer",
        "wrong-unsure": wrong and answer.decision != "answer",
        "unknown": answer.decision in ("unknown", "not a leaf"),
        "unsure": answer.decision == "unsure" and not wrong,
    }
    return tuple(reason for reason in REASONS if holds[reason])


def _urgency(answer: PhotoAnswer, doubt: LabelDoubt | None, reason: Reason) -> float:
    """Return what sorts photos of one reason, the most urgent lowest."""
    if reason == "label-error" and doubt is not None:
        return doubt.label_prob - _TIE * doubt.suggested_prob
    if reason == "wrong-sure":
        return answer.label_prob - answer.probability
    return 0.0 if reason == "conflict" else answer.label_prob


def _place(answer: PhotoAnswer, reason: Reason) -> str:
    """Return what parts equals: copies stand beside each other."""
    path = answer.record.image_path
    return f"{answer.record.group} {path}" if reason == "conflict" else path
