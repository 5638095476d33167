"""Photos that show none of the learned classes: how they are told apart, and how well that works.

The rule adds two scores, each in units of its spread over known photos: the cosine to the nearest class mean, and the
energy. They fail on different photos. Area under the ROC curve, 303 known val photos of plantdata, 13 crops and classes
held out of a training of three epochs (75 classes, tower frozen); the rule then refuses 48 % of other crops and 24 % of
other classes, where class means alone refuse 21 % and 9 %:

                        98 other    85 other   20 odd   24      24 one
                        classes     crops      photos   black   colour   noise   shapes
    the rule            0.828       0.885      0.780    0.983   0.974    0.997   0.979
    nearest class mean  0.722       0.764      0.843    0.993   0.990    1.000   0.998
    energy              0.822       0.905      0.614    0.813   0.815    0.849   0.713
    max softmax         0.843       0.868      0.712    0.872   0.854    0.980   0.809
    nearest neighbour   0.704       0.753      0.806    0.891   0.989    0.997   0.994
    Mahalanobis         0.611       0.613      0.852    1.000   0.993    1.000   1.000

On features of a model all of which had learned (95 classes, 1,057 known photos, 136 others of nine kinds), class mean
0.953, energy 0.949, nearest neighbour 0.941, max softmax 0.938. Repeat: benchmarks/unknown.py --hold-out.

Every score here is "familiarity": higher is more like the learned classes. Dimensions: N photos, C classes, F
features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from plantset.evaluation.intervals import Estimate, percentile_estimate
from plantset.models.decision import Calibration, UnknownRule, energy, make_unknown_rule

KNOWN_SHARE = 0.95  # of FPR at 95 % TPR: the known photos that are kept
_MIN_SCALE = 1e-3
_SHRINKAGE = 0.1


@dataclass(frozen=True, slots=True)
class UnknownScores:
    """How one kind of unknown photo is told from the known ones.

    Attributes:
        auroc: chance that a known photo looks more familiar than an unknown one; 0.5 is a coin.
        fpr_at_95: share of the unknown photos that pass when 95 % of the known ones do.
        refused: share of the unknown photos that the rule in the checkpoint calls unknown; None without a rule.
    """

    kind: str
    num_photos: int
    num_groups: int
    auroc: Estimate
    fpr_at_95: Estimate
    refused: float | None


def fit_unknown_rule(
    features_NF: NDArray[Any],
    labels_N: NDArray[np.int64],
    calibration: tuple[NDArray[Any], NDArray[Any]],
    *,
    known_error: float,
) -> UnknownRule | None:
    """Fit class means on some photos, and on others what known photos score, of which `known_error` are refused.

    None when there are no features, or fewer than two photos or two classes. Logits that are log-probabilities
    (`--hierarchy`) have no energy: class means then decide alone.

    Args:
        calibration: logits (M, C), not calibrated, and features (M, F) of the other photos.
    """
    logits_MC, features_MF = calibration
    if features_NF.shape[1] == 0 or len(np.unique(labels_N)) < 2 or len(features_MF) == 0:
        return None
    centre, scale = _standard(features_NF)
    means = class_means((features_NF - centre) / scale, labels_N)
    means /= np.linalg.norm(means, axis=1, keepdims=True).clip(1e-12)
    rule = make_unknown_rule(means, centre, scale, threshold=0.0, known_error=known_error, num_photos=len(labels_N))
    cosines_M, energies_M = rule.nearest_mean(features_MF), energy(logits_MC)
    rule = dataclasses.replace(
        rule,
        cosine_mean=float(cosines_M.mean()),
        cosine_gain=float(1 / cosines_M.std().clip(_MIN_SCALE)),
        energy_mean=float(energies_M.mean()),
        energy_gain=float(1 / energies_M.std()) if energies_M.std() > _MIN_SCALE else 0.0,
    )
    scores_M = rule.familiarity(logits_MC, features_MF)
    return dataclasses.replace(rule, threshold=float(np.quantile(scores_M, known_error, method="lower")))


def familiarity(logits_NC: NDArray[Any], features_NF: NDArray[Any], calibration: Calibration) -> NDArray[np.float64]:
    """Return how much each photo looks like the learned classes: by the checkpoint's rule, else the top probability."""
    if calibration.unknown is None:
        return max_softmax(logits_NC / calibration.temperature)
    return calibration.unknown.familiarity(logits_NC, features_NF)


def max_softmax(logits_NC: NDArray[Any]) -> NDArray[np.float64]:
    """Return the top probability (Hendrycks and Gimpel 2017, arXiv 1610.02136)."""
    return np.asarray(scipy.special.softmax(logits_NC.astype(np.float64), axis=1).max(axis=1))


def nearest_neighbour(train_MF: NDArray[Any], features_NF: NDArray[Any], k: int = 1) -> NDArray[np.float64]:
    """Return the cosine to the k-th nearest of some known photos (Sun et al. 2022, arXiv 2204.06507)."""
    centre, scale = _standard(train_MF)
    known, asked = _unit((train_MF - centre) / scale), _unit((features_NF - centre) / scale)
    return np.asarray(np.partition(asked @ known.T, -k, axis=1)[:, -k])


def mahalanobis(train_MF: NDArray[Any], labels_M: NDArray[np.int64], features_NF: NDArray[Any]) -> NDArray[np.float64]:
    """Return minus the squared distance to the nearest class mean under one shrunk covariance (arXiv 1807.03888)."""
    means = class_means(train_MF, labels_M)
    rest = train_MF - means[np.unique(labels_M, return_inverse=True)[1]]
    covariance = rest.T @ rest / len(rest)
    size = len(covariance)
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * np.trace(covariance) / size * np.eye(size)
    values, vectors = np.linalg.eigh(covariance)
    whiten = vectors / np.sqrt(values)
    asked, centres = features_NF @ whiten, means @ whiten
    squares = (asked**2).sum(axis=1)[:, None] - 2 * asked @ centres.T + (centres**2).sum(axis=1)
    return np.asarray(-squares.min(axis=1))


def nearest_mean(train_MF: NDArray[Any], labels_M: NDArray[np.int64], features_NF: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cosine to the nearest class mean of standardised features: half of what a checkpoint goes by."""
    centre, scale = _standard(train_MF)
    means = _unit(class_means((train_MF - centre) / scale, labels_M))
    return np.asarray((_unit((features_NF - centre) / scale) @ means.T).max(axis=1))


def class_means(features_NF: NDArray[Any], labels_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of each class that is present, in label order."""
    _, position, counts = np.unique(labels_N, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), features_NF.shape[1]))
    np.add.at(sums, position, features_NF)
    return np.asarray(sums / counts[:, None])


def fpr_at_95(known_N: NDArray[Any], unknown_M: NDArray[Any]) -> float:
    """Return the share of unknown photos at or above the familiarity that 95 % of the known ones reach."""
    threshold = np.quantile(known_N, 1 - KNOWN_SHARE, method="lower")
    return float((unknown_M >= threshold).mean())


def auroc(known_N: NDArray[Any], unknown_M: NDArray[Any]) -> float:
    """Return the area under the ROC curve of "known" against familiarity."""
    unknown = np.sort(unknown_M)
    below, up_to = np.searchsorted(unknown, known_N, side="left"), np.searchsorted(unknown, known_N, side="right")
    return float((below + up_to).mean() / (2 * len(unknown)))  # Mann and Whitney; ties count half


def score_unknown(
    kind: str,
    known_N: NDArray[Any],
    known_groups_N: NDArray[np.int64],
    unknown_M: NDArray[Any],
    unknown_groups_M: NDArray[np.int64],
    *,
    threshold: float | None,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> UnknownScores:
    """Score one kind of unknown photo; leaves of both sides are resampled for the intervals."""
    known_leaves, unknown_leaves = _leaves(known_groups_N), _leaves(unknown_groups_M)
    aurocs, fprs = np.empty(bootstrap_count), np.empty(bootstrap_count)
    for at in range(bootstrap_count):
        known = known_N[_resample(known_leaves, rng)]
        unknown = unknown_M[_resample(unknown_leaves, rng)]
        aurocs[at], fprs[at] = auroc(known, unknown), fpr_at_95(known, unknown)
    num_groups = len(unknown_leaves.starts_G)
    return UnknownScores(
        kind=kind,
        num_photos=len(unknown_M),
        num_groups=num_groups,
        auroc=percentile_estimate(auroc(known_N, unknown_M), aurocs, num_groups),
        fpr_at_95=percentile_estimate(fpr_at_95(known_N, unknown_M), fprs, num_groups),
        refused=None if threshold is None else float((unknown_M < threshold).mean()),
    )


def draw_non_photos(side_px: int, count: int, rng: np.random.Generator) -> dict[str, NDArray[np.uint8]]:
    """Draw pictures that show no plant: kind -> (count, S, S, 3) uint8."""
    drawers: dict[str, Callable[[int, np.random.Generator], NDArray[np.uint8]]] = {
        "black": _draw_black,
        "one colour": _draw_colour,
        "noise": _draw_noise,
        "shapes": _draw_shapes,
    }
    return {kind: np.stack([draw(side_px, rng) for _ in range(count)]) for kind, draw in drawers.items()}


def _draw_black(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A lens cap: near black, with a sensor's noise."""
    return rng.integers(0, 12, size=(side, side, 3), dtype=np.uint8)


def _draw_colour(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    return np.broadcast_to(rng.integers(0, 256, size=3, dtype=np.uint8), (side, side, 3)).copy()


def _draw_noise(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, size=(side, side, 3), dtype=np.uint8)


def _draw_shapes(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Overlapping rectangles of random colours, as an indoor scene or a screen has."""
    picture = _draw_colour(side, rng)
    for _ in range(int(rng.integers(4, 14))):
        top, left = rng.integers(0, side, size=2)
        height, width = rng.integers(1, side // 2, size=2)
        picture[top : top + height, left : left + width] = rng.integers(0, 256, size=3)
    return picture


def _standard(features: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64).clip(_MIN_SCALE)


def _unit(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True).clip(1e-12))


@dataclass(frozen=True, slots=True)
class _Leaves:
    """Rows sorted by their leaf, and where each leaf's rows start and how many they are."""

    rows_N: NDArray[np.int64]
    starts_G: NDArray[np.int64]
    counts_G: NDArray[np.int64]


def _leaves(groups_N: NDArray[np.int64]) -> _Leaves:
    _, starts, counts = np.unique(np.sort(groups_N), return_index=True, return_counts=True)
    return _Leaves(np.argsort(groups_N, kind="stable"), starts, counts)


def _resample(leaves: _Leaves, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw as many leaves as there are, with replacement, and return the rows of all of them."""
    drawn = rng.integers(len(leaves.starts_G), size=len(leaves.starts_G))
    counts = leaves.counts_G[drawn]
    ends = counts.cumsum()
    shifts = np.repeat(leaves.starts_G[drawn] - (ends - counts), counts)
    return np.asarray(leaves.rows_N[np.arange(ends[-1]) + shifts])
