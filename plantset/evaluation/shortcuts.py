"""What can be told without looking at the leaf: the class from 8 border pixels, or from the collection alone.

Learnt on the training photos, judged on the evaluated ones, no leaf on both sides (Noyan 2022, "Uncovering bias in the
PlantVillage dataset", arXiv 2206.04374). What such a cue tells, the model may have learnt in place of the disease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantset.clean.shortcuts import fit_cue
from plantset.evaluation.classification import Truth
from plantset.evaluation.intervals import Estimate, mean_estimate, renumber_groups

MAX_TRAIN_PHOTOS = 2_000  # a random sample of more answers as well, in seconds


@dataclass(frozen=True, slots=True)
class SourceShortcut:
    """The photos of one collection; see `ShortcutScores`."""

    name: str
    num_photos: int
    border: Estimate
    chance: float
    model: Estimate


@dataclass(frozen=True, slots=True)
class ShortcutScores:
    """Accuracy of what never sees the leaf, beside the model's on the same photos.

    Attributes:
        num_train_photos: what the cues were learnt from; none shows a leaf that is scored.
        border: logistic regression on the 8 border pixels of the photo as the model sees it.
        source: the commonest training class of the photo's collection; None where photos name no collection.
        chance: always naming the commonest class of the scored photos.
        model: the model's, from the photo alone.
        by_source: empty where there are not two collections.
    """

    num_train_photos: int
    num_photos: int
    border: Estimate
    source: Estimate | None
    chance: float
    model: Estimate
    by_source: tuple[SourceShortcut, ...]

    @property
    def tells(self) -> bool:
        """Return whether the border says clearly more than chance: half again as much, and beyond its interval."""
        low = self.border.value if self.border.low is None else self.border.low
        return low > self.chance and self.border.value > 1.5 * self.chance


@dataclass(frozen=True, slots=True)
class BackgroundScores:
    """What the model itself still answers where the leaf is painted over, on the photos that have a leaf's mask.

    Attributes:
        background: accuracy with the leaf in the mean colour of the rest; its outline stays.
        model: accuracy on the same photos as they are. chance: always naming the commonest class of them.
        mean_leaf_share: of the photo, that is painted over.
    """

    num_photos: int
    background: Estimate
    model: Estimate
    chance: float
    mean_leaf_share: float

    @property
    def tells(self) -> bool:
        """Return whether the background says clearly more than chance: half again as much, beyond its interval."""
        low = self.background.value if self.background.low is None else self.background.low
        return low > self.chance and self.background.value > 1.5 * self.chance


@dataclass(frozen=True)
class TrainCues:
    """Training photos without their leaves: border pixels (T, 24), classes (T,), collections."""

    borders_TP: NDArray[Any]
    labels_T: NDArray[np.int64]
    sources: Sequence[str | None]


def score_shortcuts(
    train: TrainCues,
    borders_NP: NDArray[Any],
    predicted_N: NDArray[np.int64],
    truth: Truth,
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> ShortcutScores | None:
    """Judge the cues; None where the training photos show fewer than two classes, so that there is nothing to learn."""
    if len(np.unique(train.labels_T)) < 2:
        return None
    labels, groups = truth.labels_N, truth.group_index_N
    by_border = (
        fit_cue(train.borders_TP.astype(np.float64), train.labels_T).predict(borders_NP.astype(np.float64)) == labels
    )
    by_model = predicted_N == labels

    def share(right: NDArray[np.bool_], rows: NDArray[np.bool_]) -> Estimate:
        return mean_estimate(right[rows], renumber_groups(groups[rows]), bootstrap_count, rng)

    every = np.ones(len(labels), dtype=np.bool_)
    names = sorted({name for name in truth.sources if name is not None})
    rows_of = {name: np.array([other == name for other in truth.sources]) for name in names}
    return ShortcutScores(
        num_train_photos=len(train.labels_T),
        num_photos=len(labels),
        border=share(by_border, every),
        source=share(_by_source(train, truth), every) if names else None,
        chance=_chance(labels),
        model=share(by_model, every),
        by_source=tuple(
            SourceShortcut(name, int(rows.sum()), share(by_border, rows), _chance(labels[rows]), share(by_model, rows))
            for name, rows in (rows_of.items() if len(names) > 1 else ())
        ),
    )


def _by_source(train: TrainCues, truth: Truth) -> NDArray[np.bool_]:
    """Tell of each photo whether the commonest training class of its collection is its class."""
    seen: dict[str | None, Counter[int]] = {}
    for source, label in zip(train.sources, train.labels_T.tolist(), strict=True):
        seen.setdefault(source, Counter())[label] += 1
    commonest = {source: counts.most_common(1)[0][0] for source, counts in seen.items()}
    return np.asarray(np.array([commonest.get(source, -1) for source in truth.sources]) == truth.labels_N)


def _chance(labels_N: NDArray[np.int64]) -> float:
    return float(np.bincount(labels_N).max() / len(labels_N))
