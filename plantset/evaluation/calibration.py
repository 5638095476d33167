"""How far a stated probability can be believed, and the numbers that make it believable.

Fitting (temperature, threshold, conformal quantile) is for the calibration half of val, at the end of training;
applying them is plain comparison and lives with the model. Measuring is for any split that was not fitted on.

Dimensions: N photos, C classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import NDArray

from plantset.evaluation.intervals import (
    Estimate,
    bootstrap_totals,
    group_sums,
    mean_estimate,
    percentile_estimate,
)
from plantset.evaluation.unknown import fit_unknown_rule
from plantset.models.decision import Calibration, probabilities

TARGET_ERROR = 0.05  # among the photos that get an answer; the rest is "unsure"
COVERAGE = 0.9  # of the prediction sets
KNOWN_ERROR = 0.05  # of photos of learned classes, refused as unknown
MIN_CLASS_PHOTOS = 20  # a 90 % quantile of fewer is the largest or second largest score: sets would be huge
NEVER_ANSWER = 2.0  # a threshold that no probability reaches
_LOG_TEMPERATURE_BOUNDS = (math.log(0.01), math.log(100.0))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Photos of neighbouring confidence: how many, how sure the model was, how often it was right."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class CalibrationScores:
    """How far probabilities can be believed.

    Attributes:
        ece: expected calibration error over adaptive bins, 0..1. Each resample adds noise to every bin, which pushes
            its ECE up: the interval is that of the resamples, stretched to hold the value where it lies below them.
        brier: mean squared distance to the one-hot truth, summed over classes, 0..2.
        nll: mean negative log-likelihood of the true class, nats.
        bins: the reliability diagram, least sure first.
    """

    ece: Estimate
    brier: Estimate
    nll: Estimate
    bins: tuple[ReliabilityBin, ...]


def fit(
    logits_NC: NDArray[Any],
    features_NF: NDArray[Any],
    labels_N: NDArray[np.int64],
    *,
    selection: NDArray[np.int64],
    calibration: NDArray[np.int64],
    others: tuple[NDArray[Any], NDArray[np.int64]] | None = None,
) -> Calibration:
    """Fit all that turns logits into an answer, from one pass over the val photos without notes.

    Args:
        features_NF: what the classifier reads; (N, 0) where it reads none: unknown photos are then not told apart.
        selection: positions of the photos that chose the epoch; they give the class means that unknown photos are
            far from (never shown to the weights, and other photos than those the threshold is set on).
        calibration: positions of the photos that everything else is fitted on.
        others: features (M, F) and labels (M,) of other photos, of the classes that `selection` has none of: a class
            without a mean would be an unknown one.

    Raises:
        ValueError: no photo, or sizes that differ.
    """
    logits, labels = logits_NC[calibration], labels_N[calibration]
    temperature = fit_temperature(logits, labels)
    probs = probabilities(logits, temperature)
    known_features, known_labels = features_NF[selection], labels_N[selection]
    if others is not None:
        known_features = np.concatenate([known_features, others[0]])
        known_labels = np.concatenate([known_labels, others[1]])
    return Calibration(
        temperature=temperature,
        confidence_threshold=confidence_threshold(probs, labels, TARGET_ERROR),
        conformal_quantile=conformal_quantile(probs, labels, COVERAGE),
        num_photos=len(labels),
        class_quantiles=class_conditional_quantiles(probs, labels, COVERAGE),
        target_error=TARGET_ERROR,
        coverage=COVERAGE,
        unknown=fit_unknown_rule(
            known_features, known_labels, (logits, features_NF[calibration]), known_error=KNOWN_ERROR
        ),
    )


def fit_temperature(logits_NC: NDArray[Any], labels_N: NDArray[np.int64]) -> float:
    """Return the temperature T whose softmax(logits / T) has the lowest NLL (Guo et al. 2017, arXiv 1706.04599, §4.2).

    Where every photo is right the NLL falls without end as T goes to 0; T is then chosen so that the mean confidence
    is (n + 1) / (n + 2), Laplace's rule of succession, instead of certainty learnt from a few photos.

    Raises:
        ValueError: no photo, or sizes that differ.
    """
    _check(logits_NC, labels_N)
    logits = logits_NC.astype(np.float64)
    if np.array_equal(logits.argmax(axis=1), labels_N):
        return _temperature_of_confidence(logits, (len(labels_N) + 1) / (len(labels_N) + 2))

    def nll_at(log_temperature: float) -> float:
        return _nll(logits / math.exp(log_temperature), labels_N)

    best = scipy.optimize.minimize_scalar(
        nll_at, bounds=_LOG_TEMPERATURE_BOUNDS, method="bounded", options={"xatol": 1e-6}
    )
    return math.exp(float(best.x))


def score_calibration(
    logits_NC: NDArray[Any],
    labels_N: NDArray[np.int64],
    temperature: float,
    group_index_N: NDArray[np.int64],
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
    num_bins: int = 15,
) -> CalibrationScores:
    """Measure the probabilities that `temperature` gives.

    Bins hold equal numbers of photos (Nguyen and O'Connor 2015, arXiv 1508.05154): with equal widths a good model
    leaves nearly all photos in the last bin.
    """
    _check(logits_NC, labels_N)
    probs = probabilities(logits_NC, temperature)
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels_N
    true_N = probs[np.arange(len(labels_N)), labels_N]
    brier_N = (probs**2).sum(axis=1) - 2 * true_N + 1
    log_probs = scipy.special.log_softmax(logits_NC.astype(np.float64) / temperature, axis=1)
    nll_N = -log_probs[np.arange(len(labels_N)), labels_N]
    return CalibrationScores(
        ece=_estimate_ece(confidence, right, num_bins, group_index_N, bootstrap_count, rng),
        brier=mean_estimate(brier_N, group_index_N, bootstrap_count, rng, is_share=False),
        nll=mean_estimate(nll_N, group_index_N, bootstrap_count, rng, is_share=False),
        bins=bin_confidences(confidence, right, num_bins),
    )


def _estimate_ece(
    confidence_N: NDArray[np.floating],
    right_N: NDArray[np.bool_],
    num_bins: int,
    groups: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> Estimate:
    """Return the ECE with its interval; the bins stay those of the whole sample."""
    parts = np.array_split(np.argsort(confidence_N, kind="stable"), num_bins)
    columns = np.zeros((len(right_N), num_bins + 1))
    columns[:, -1] = 1
    for number, part in enumerate(parts):
        columns[part, number] = right_N[part] - confidence_N[part]
    value = float(np.abs(columns[:, :-1].sum(axis=0)).sum() / len(right_N))
    totals = bootstrap_totals(group_sums(columns, groups), count, rng)
    found = percentile_estimate(value, np.abs(totals[:, :-1]).sum(axis=1) / totals[:, -1], int(groups.max()) + 1)
    if found.low is None or found.high is None:
        return found
    return Estimate(value, min(found.low, value), max(found.high, value))


def bin_confidences(
    confidence_N: NDArray[np.floating], right_N: NDArray[np.bool_], num_bins: int
) -> tuple[ReliabilityBin, ...]:
    """Sort photos by confidence and cut them into at most `num_bins` bins of equal count."""
    order = np.argsort(confidence_N, kind="stable")
    parts = [part for part in np.array_split(order, num_bins) if len(part)]
    return tuple(
        ReliabilityBin(len(part), float(confidence_N[part].mean()), float(right_N[part].mean())) for part in parts
    )


def confidence_threshold(probs_NC: NDArray[Any], labels_N: NDArray[np.int64], target_error: float) -> float:
    """Return the lowest threshold t such that, among photos whose top probability is >= t, errors are <= target.

    `NEVER_ANSWER` when not even the surest photos reach the target. It is the plug-in point of the risk-coverage
    curve (Geifman and El-Yaniv 2017, arXiv 1705.08500) without its confidence bound.
    """
    _check(probs_NC, labels_N)
    confidence = probs_NC.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = probs_NC.argmax(axis=1)[order] != labels_N[order]
    error = np.cumsum(wrong) / np.arange(1, len(order) + 1)
    sorted_confidence = confidence[order]
    last_of_tie = np.append(sorted_confidence[1:] != sorted_confidence[:-1], True)
    reached = np.flatnonzero(last_of_tie & (error <= target_error))
    return float(sorted_confidence[reached[-1]]) if len(reached) else NEVER_ANSWER


def conformal_quantile(probs_NC: NDArray[Any], labels_N: NDArray[np.int64], coverage: float = 0.9) -> float:
    """Return q such that {c : the classes more probable than c weigh at most q} holds the true class often enough.

    Split conformal prediction with adaptive sets (Romano et al. 2020, arXiv 2006.02544, without the random part;
    Angelopoulos and Bates 2021, arXiv 2107.07511, §1): the ceil((n + 1) coverage) / n empirical quantile of the
    probability above the true class. The most probable class is always in the set, the true one with probability
    >= `coverage`; 1.0 (every class) when n is too small to promise that.
    """
    _check(probs_NC, labels_N)
    return _upper_quantile(conformal_scores(probs_NC, labels_N), coverage)


def class_conditional_quantiles(
    probs_NC: NDArray[Any], labels_N: NDArray[np.int64], coverage: float = 0.9
) -> tuple[float | None, ...]:
    """Return each class's own conformal quantile (Vovk 2012, arXiv 1209.2673), None below `MIN_CLASS_PHOTOS`.

    The common quantile promises 90 % over all photos together, which a hard class may pay for an easy one.
    """
    _check(probs_NC, labels_N)
    scores = conformal_scores(probs_NC, labels_N)
    return tuple(
        _upper_quantile(own, coverage) if len(own := scores[labels_N == index]) >= MIN_CLASS_PHOTOS else None
        for index in range(probs_NC.shape[1])
    )


def conformal_scores(probs_NC: NDArray[Any], labels_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each photo how much probability the classes above the true one hold."""
    true_N1 = np.take_along_axis(probs_NC, labels_N[:, None], axis=1)
    return np.asarray(np.where(probs_NC > true_N1, probs_NC, 0.0).sum(axis=1))


def _upper_quantile(scores: NDArray[np.float64], coverage: float) -> float:
    rank = math.ceil((len(scores) + 1) * coverage)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else 1.0


def _temperature_of_confidence(logits: NDArray[Any], wanted: float) -> float:
    def excess(log_temperature: float) -> float:
        return float(probabilities(logits, math.exp(log_temperature)).max(axis=1).mean()) - wanted

    low, high = _LOG_TEMPERATURE_BOUNDS
    if excess(low) <= 0 or excess(high) >= 0:  # logits too close together or too far apart for the bounds
        return math.exp(low if excess(low) <= 0 else high)
    return math.exp(float(scipy.optimize.brentq(excess, low, high)))


def _nll(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    log_probs = scipy.special.log_softmax(logits, axis=1)
    return float(-log_probs[np.arange(len(labels)), labels].mean())


def _check(scores_NC: NDArray[np.floating], labels_N: NDArray[np.int64]) -> None:
    if len(labels_N) == 0 or scores_NC.ndim != 2 or len(scores_NC) != len(labels_N):
        raise ValueError(f"scores {scores_NC.shape} for {len(labels_N)} labels")
