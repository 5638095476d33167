"""What the stated promises are worth on photos that nothing was fitted on: sets that hold the true class, answers
that are right when the model calls itself sure, and the trade between answering more and erring less.

Dimensions: N photos, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantset.evaluation.intervals import Estimate, mean_estimate, renumber_groups
from plantset.models.decision import Calibration, prediction_sets

_CURVE_POINTS = 50


@dataclass(frozen=True, slots=True)
class SetScores:
    """The prediction sets, against the coverage that they were fitted to.

    Attributes:
        coverage: share of the sets that hold the true class; `target` was promised.
        mean_size: classes in a set. single_share: share of the sets that name one class.
        num_own_quantiles: classes that had photos enough for a quantile of their own.
    """

    num_photos: int
    target: float
    coverage: Estimate
    mean_size: Estimate
    single_share: Estimate
    num_own_quantiles: int


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """Answering only photos of at least this probability: how many are answered, how many of those wrongly."""

    threshold: float
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True)
class SelectiveScores:
    """Answering only when sure.

    Attributes:
        answered: share of the photos at or above the threshold in the checkpoint, fitted to `target_error`.
        error: share of wrong answers among those; None when none is answered.
        aurc: area under the risk-coverage curve (Geifman and El-Yaniv 2017, arXiv 1705.08500), 0 best.
        curve: surest photos first.
    """

    num_photos: int
    num_answered: int
    threshold: float
    target_error: float
    answered: Estimate
    error: Estimate | None
    aurc: float
    curve: tuple[RiskPoint, ...]


def score_sets(
    probs_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    group_index_N: NDArray[np.int64],
    calibration: Calibration,
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> SetScores | None:
    """Measure the sets; None for a model whose sets were never fitted."""
    if calibration.num_photos == 0:
        return None
    members_NC = prediction_sets(probs_NC, calibration)
    sizes = members_NC.sum(axis=1)
    held = np.take_along_axis(members_NC, labels_N[:, None], axis=1)[:, 0]
    coverage, single = (mean_estimate(values, group_index_N, bootstrap_count, rng) for values in (held, sizes == 1))
    mean_size = mean_estimate(sizes, group_index_N, bootstrap_count, rng, is_share=False)
    return SetScores(
        num_photos=len(labels_N),
        target=calibration.coverage,
        coverage=coverage,
        mean_size=mean_size,
        single_share=single,
        num_own_quantiles=sum(value is not None for value in calibration.class_quantiles),
    )


def score_selective(
    probs_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    group_index_N: NDArray[np.int64],
    calibration: Calibration,
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> SelectiveScores:
    """Measure what answering only when sure gives."""
    confidence = probs_NC.max(axis=1)
    wrong = probs_NC.argmax(axis=1) != labels_N
    sure = confidence >= calibration.confidence_threshold
    error = None
    if sure.any():
        error = mean_estimate(wrong[sure], renumber_groups(group_index_N[sure]), bootstrap_count, rng)
    risk_N = cumulative_risk(confidence, wrong)
    return SelectiveScores(
        num_photos=len(labels_N),
        num_answered=int(sure.sum()),
        threshold=calibration.confidence_threshold,
        target_error=calibration.target_error,
        answered=mean_estimate(sure, group_index_N, bootstrap_count, rng),
        error=error,
        aurc=float(risk_N.mean()),
        curve=_sample_curve(np.sort(confidence)[::-1], risk_N),
    )


def cumulative_risk(confidence_N: NDArray[np.float64], wrong_N: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of wrong answers among the k surest photos, k = 1 … N; equally sure ones share their errors."""
    order = np.argsort(-confidence_N, kind="stable")
    _, position, counts = np.unique(-confidence_N[order], return_inverse=True, return_counts=True)
    mean_wrong = np.bincount(position, weights=wrong_N[order]) / counts
    return np.asarray(np.cumsum(mean_wrong[position]) / np.arange(1, len(order) + 1))


def _sample_curve(confidence: NDArray[np.float64], risk: NDArray[np.float64]) -> tuple[RiskPoint, ...]:
    num_photos = len(risk)
    at = np.unique(np.linspace(0, num_photos - 1, min(num_photos, _CURVE_POINTS)).round().astype(int))
    return tuple(RiskPoint(float(confidence[k]), (k + 1) / num_photos, float(risk[k])) for k in at.tolist())
