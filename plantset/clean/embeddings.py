"""Same leaf, other crop or other shot: neighbours in a network's features, accepted when geometry agrees.

Only here does cleaning know of encoders, and only `--embeddings` comes here. All is done in one process of its own, so
that neither the main process nor the workers ever import torch.

The features are the means of the third stage but one of the packaged backbone (112 numbers): of 500 crops of 90 %, put
among 5,454 real photos, 99.6 % have their original as nearest neighbour and all have it among the nearest five; of the
last stage (1,280 numbers) 99.0 %. Cost measured: about 27 ms of CPU a photo for the features, and 25 ms a pair.
"""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.clean.verify import (
    MIN_INLIERS,
    MIN_INLIERS_NEIGHBOURS,
    VERIFY_SIZE_PX,
    LocalFeatures,
    count_inliers,
    local_features,
)
from plantset.core.files import write_bytes
from plantset.core.photo import decode_photo
from plantset.core.storage import read_stored

NEIGHBOURS = 3
MIN_SIMILARITY = 0.65  # cosine of centred features; the lowest of re-shots that geometry confirmed was 0.68

_FEW = 200  # the mean of fewer photos is no centre to measure angles from: then every neighbour is verified
_STAGES = 5
_SIDE = 160
_BATCH = 32
_SAVE_EVERY = 2_000
_REMEMBERED = 1_024  # photos whose local features stay in memory: 70 MB
_METHOD = 1  # raise it when features or verdicts change

Features = NDArray[np.float16]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class LeafPhoto:
    """Where a photo lies and what it is."""

    path: Path
    sha256: str


@dataclass(slots=True)
class _Memory:
    """What earlier runs computed, by content: so a rerun reads nothing again."""

    path: Path
    features: dict[str, Features] = field(default_factory=dict)
    inliers: dict[tuple[str, str], int] = field(default_factory=dict)
    num_saved: int = 0

    def __len__(self) -> int:
        return len(self.features) + len(self.inliers)

    def save_in_time(self) -> None:
        """Write it when it has grown by a tenth: all writings together are then some ten times the last one."""
        if len(self) - self.num_saved >= max(_SAVE_EVERY, self.num_saved // 10):
            _write(self)


def find_same_leaves(photos: Sequence[LeafPhoto], neighbours: Sequence[Pair], memory_file: Path) -> list[Pair]:
    """Return the pairs of photos that show one leaf, first < second, sorted.

    Args:
        photos: of different contents.
        neighbours: pairs that names or times make likely; they need fewer inliers.
        memory_file: features and verdicts of earlier runs; made and extended here.
    """
    if len(photos) < 2:
        return []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(search, list(photos), list(neighbours), memory_file).result()


def search(photos: list[LeafPhoto], neighbours: list[Pair], memory_file: Path) -> list[Pair]:
    """Do the work of `find_same_leaves` in this process; imports torch."""
    cv2.setNumThreads(1)
    memory = _read(memory_file)
    _embed(photos, memory)
    features = np.stack([memory.features[photo.sha256] for photo in photos])
    likely = {(min(pair), max(pair)) for pair in neighbours}
    candidates = sorted(likely | set(_nearest(features)))
    _verify(photos, candidates, memory)
    return [
        pair
        for pair in candidates
        if memory.inliers[_key(photos, pair)] >= (MIN_INLIERS_NEIGHBOURS if pair in likely else MIN_INLIERS)
    ]


def _embed(photos: Sequence[LeafPhoto], memory: _Memory) -> None:
    absent = [photo for photo in photos if photo.sha256 not in memory.features]
    if not absent:
        return
    import torch

    from plantset.encoders.registry import PACKAGED_VISION, build_vision_encoder
    from plantset.encoders.stages import StageCut
    from plantset.encoders.vision import normalize

    encoder = build_vision_encoder(PACKAGED_VISION).eval()
    cut = StageCut(encoder, _STAGES)
    for start in range(0, len(absent), _BATCH):
        batch = absent[start : start + _BATCH]
        pixels = np.stack([_squashed(photo.path) for photo in batch])
        with torch.inference_mode():
            seen = normalize(torch.from_numpy(pixels).permute(0, 3, 1, 2), encoder.preprocess)
            vectors = cut.frozen_part(seen).mean(dim=(2, 3)).numpy().astype(np.float16)
        memory.features.update(zip((photo.sha256 for photo in batch), vectors, strict=True))
        memory.save_in_time()
    _write(memory)


def _squashed(path: Path) -> NDArray[np.uint8]:
    pixels = decode_photo(read_stored(path), longer_side_px=2 * _SIDE).pixels
    method = cv2.INTER_AREA if min(pixels.shape[:2]) > _SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (_SIDE, _SIDE), interpolation=method), dtype=np.uint8)


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


def _verify(photos: Sequence[LeafPhoto], candidates: Sequence[Pair], memory: _Memory) -> None:
    @lru_cache(maxsize=_REMEMBERED)
    def describe(index: int) -> LocalFeatures:
        return local_features(decode_photo(read_stored(photos[index].path), longer_side_px=VERIFY_SIZE_PX).pixels)

    unknown = [pair for pair in candidates if _key(photos, pair) not in memory.inliers]
    for pair in unknown:
        first, second = sorted(pair, key=lambda index: photos[index].sha256)
        memory.inliers[_key(photos, pair)] = count_inliers(describe(first), describe(second))
        memory.save_in_time()
    if unknown:
        _write(memory)


def _key(photos: Sequence[LeafPhoto], pair: Pair) -> tuple[str, str]:
    first, second = sorted(photos[index].sha256 for index in pair)
    return first, second


def _read(path: Path) -> _Memory:
    memory = _Memory(path)
    if not path.exists():
        return memory
    with np.load(path, allow_pickle=False) as stored:
        if int(stored["method"]) != _METHOD:
            return memory
        memory.features.update(zip(stored["contents"].astype("U64").tolist(), stored["features"], strict=True))
        pairs = (tuple(pair) for pair in stored["pairs"].astype("U64").tolist())
        memory.inliers.update(zip(pairs, stored["inliers"].tolist(), strict=True))
    memory.num_saved = len(memory)
    return memory


def _write(memory: _Memory) -> None:
    stored = io.BytesIO()
    np.savez(
        stored,
        method=_METHOD,
        contents=np.array(list(memory.features), dtype="S64"),
        features=np.stack(list(memory.features.values())),
        pairs=np.array(list(memory.inliers), dtype="S64").reshape(-1, 2),
        inliers=np.array(list(memory.inliers.values()), dtype=np.int32),
    )
    write_bytes(memory.path, stored.getvalue())
    memory.num_saved = len(memory)
