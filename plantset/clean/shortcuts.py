"""What a model could cheat with: how far the class can be told from things that are no symptom.

Each cue is read by a logistic regression that never sees the leaf: 8 pixels on the border of the photo (Noyan 2022,
"Uncovering bias in the PlantVillage dataset", arXiv 2206.04374), its mean colour, and the file's bytes and dimensions.
Photos of one leaf never stand on both sides. What such a cue can tell, a classifier can learn in place of the disease.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from plantset.clean.cues import CUES, Cue, PhotoCues, Shortcut
from plantset.core.records import CleanRecord

_FOLDS = 3
_MIN_LEAVES = 6  # of a class, to be judged: two a fold
_MAX_PHOTOS = 4_000  # of one scope: a random sample of a larger set answers as well, in seconds
_MIN_PHOTOS = 60
_RESAMPLES = 1_000

Floats = NDArray[np.float64]


def measure_shortcuts(records: Sequence[CleanRecord], cues: Sequence[PhotoCues], seed: int) -> tuple[Shortcut, ...]:
    """Return every cue over all photos, then over each collection that has two classes or more.

    Args:
        records: the kept photos.
        cues: of each record, in the same order.
        seed: of the folds, samples and resamples.
    """
    scopes: dict[str, list[int]] = {"": list(range(len(records)))}
    for index, record in enumerate(records):
        if record.source is not None:
            scopes.setdefault(record.source, []).append(index)
    if len(scopes) == 2:
        scopes = {"": scopes[""]}
    found = []
    for scope, indices in sorted(scopes.items()):
        rng = np.random.default_rng(seed)
        chosen = _judged(records, indices, rng)
        for cue in CUES if len(chosen) >= _MIN_PHOTOS else ():
            values = _features([records[index] for index in chosen], [cues[index] for index in chosen], cue)
            found.append(_measure(scope, cue, values, [records[index] for index in chosen], rng))
    return tuple(found)


def fit_cue(values: Floats, targets: NDArray[np.int64]) -> Pipeline:
    """Fit the logistic regression that reads one cue: (N, F) values, (N,) classes."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100, tol=1e-3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a cue is judged, not perfected
        return model.fit(values, targets)


def _judged(records: Sequence[CleanRecord], indices: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Return the photos of classes with enough leaves, at most `_MAX_PHOTOS`; none where only one class is left."""
    if len(indices) > _MAX_PHOTOS:
        indices = sorted(rng.choice(np.asarray(indices), _MAX_PHOTOS, replace=False).tolist())
    leaves: dict[str, set[Hashable]] = defaultdict(set)
    for index in indices:
        leaves[records[index].label].add(records[index].group)
    common = {label for label, groups in leaves.items() if len(groups) >= _MIN_LEAVES}
    return [index for index in indices if records[index].label in common] if len(common) > 1 else []


def _features(records: Sequence[CleanRecord], cues: Sequence[PhotoCues], cue: Cue) -> Floats:
    if cue == "file":
        sizes = np.array([record.original_size for record in records], dtype=np.float64)
        length = np.log([cue.file_bytes for cue in cues])
        area = np.log(sizes.prod(axis=1))
        return np.column_stack([sizes, sizes[:, 0] / sizes[:, 1], length, length - area])
    colours = np.stack([np.frombuffer(cue.colours, dtype=np.uint8) for cue in cues]).astype(np.float64)
    return colours[:, :-3] if cue == "border" else colours[:, -3:]


def _measure(
    scope: str, cue: Cue, values: Floats, records: Sequence[CleanRecord], rng: np.random.Generator
) -> Shortcut:
    labels = np.array([record.label for record in records])
    classes, targets = np.unique(labels, return_inverse=True)
    _, groups = np.unique([record.group for record in records], return_inverse=True)
    right = np.zeros(len(targets), dtype=bool)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with one large group can't stand in every fold
        for train, held_out in folds.split(values, targets, groups):
            model = fit_cue(values[train], targets[train])
            right[held_out] = model.predict(values[held_out]) == targets[held_out]
    low, high = _interval(right, groups, rng)
    chance = float(np.bincount(targets).max() / len(targets))
    return Shortcut(scope, cue, float(right.mean()), low, high, chance, len(targets), len(classes))


def _interval(right: NDArray[np.bool_], groups: NDArray[np.intp], rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % percentile interval of the share that is right, leaves drawn with replacement."""
    hits, photos = np.bincount(groups, weights=right), np.bincount(groups)
    drawn = rng.multinomial(len(hits), np.full(len(hits), 1 / len(hits)), size=_RESAMPLES)
    low, high = np.quantile((drawn @ hits) / (drawn @ photos), (0.025, 0.975))
    return float(low), float(high)
