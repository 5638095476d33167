"""Same leaf, other crop or other shot: neighbours in a network's features, accepted when geometry agrees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from plantset.clean.engine import run_alone
from plantset.clean.seen import Features, LeafPhoto, SeenPhotos, read_seen
from plantset.clean.verify import (
    MIN_INLIERS,
    MIN_INLIERS_NEIGHBOURS,
    VERIFY_SIZE_PX,
    LocalFeatures,
    count_inliers,
    local_features,
)
from plantset.core.language import tr
from plantset.core.log import progress
from plantset.core.photo import decode_photo

NEIGHBOURS = 3
MIN_SIMILARITY = 0.65  # cosine of centred features; the lowest of re-shots that geometry confirmed was 0.68

_FEW = 200  # the mean of fewer photos is no centre to measure angles from: then every neighbour is verified
_REMEMBERED = 1_024  # photos whose local features stay in memory: 70 MB

Pair = tuple[int, int]


def find_same_leaves(photos: Sequence[LeafPhoto], neighbours: Sequence[Pair], memory_file: Path) -> list[Pair]:
    """Return the pairs of photos that show one leaf, first < second, sorted. A pair costs about 25 ms of CPU, once.

    Args:
        photos: of different contents, all of which `embeddings.see_photos` has seen.
        neighbours: pairs that names or times make likely; they need fewer inliers.
        memory_file: features and verdicts of earlier runs; extended here.

    Raises:
        DataError: a photo is gone meanwhile, the memory is damaged, or the process was killed.
    """
    if len(photos) < 2:
        return []
    return run_alone(_search, list(photos), list(neighbours), memory_file)


def _search(photos: list[LeafPhoto], neighbours: list[Pair], memory_file: Path) -> list[Pair]:
    """Do it in this process, whose memory ends with it."""
    cv2.setNumThreads(1)
    seen = read_seen(memory_file)
    features = np.stack([seen.features[photo.sha256] for photo in photos])
    likely = {(min(pair), max(pair)) for pair in neighbours}
    candidates = sorted(likely | set(_nearest(features)))
    _verify(photos, candidates, seen)
    return [
        pair
        for pair in candidates
        if seen.inliers[_key(photos, pair)] >= (MIN_INLIERS_NEIGHBOURS if pair in likely else MIN_INLIERS)
    ]


def _nearest(features: Features) -> Iterator[Pair]:
    """Yield each photo with its nearest, as far as they are near."""
    values = features.astype(np.float32)
    values -= values.mean(axis=0)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
    count = min(NEIGHBOURS, len(values) - 1)
    least = MIN_SIMILARITY if len(values) >= _FEW else -1.5
    rows_at_a_time = max(1, (1 << 24) // len(values))
    for start in range(0, len(values), rows_at_a_time):
        similar = values[start : start + rows_at_a_time] @ values.T
        rows = np.arange(len(similar))
        similar[rows, start + rows] = -2.0
        nearest = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        for row, other in np.argwhere(np.take_along_axis(similar, nearest, axis=1) >= least).tolist():
            first, second = start + row, int(nearest[row, other])
            yield min(first, second), max(first, second)


def _verify(photos: Sequence[LeafPhoto], candidates: Sequence[Pair], seen: SeenPhotos) -> None:
    @lru_cache(maxsize=_REMEMBERED)
    def describe(index: int) -> LocalFeatures:
        return local_features(decode_photo(photos[index].path, longer_side_px=VERIFY_SIZE_PX).pixels)

    unknown = [pair for pair in candidates if _key(photos, pair) not in seen.inliers]
    with seen.saved():
        for pair in progress(unknown, title=tr("pairs of photos", "paires de photos"), unit=" pair"):
            first, second = sorted(pair, key=lambda index: photos[index].sha256)
            seen.inliers[_key(photos, pair)] = count_inliers(describe(first), describe(second))
            seen.save_in_time()


def _key(photos: Sequence[LeafPhoto], pair: Pair) -> tuple[str, str]:
    first, second = sorted(photos[index].sha256 for index in pair)
    return first, second
