"""What the network of `--embeddings` saw in photos, by content, kept beside the manifest: a rerun reads none again."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantset.core.files import write_bytes

_SAVE_EVERY = 2_000
_METHOD = 2  # raise it when features, shares or verdicts change

Features = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class LeafPhoto:
    """Where a photo lies and what it is."""

    path: Path
    sha256: str


@dataclass(slots=True)
class SeenPhotos:
    """What earlier runs computed.

    Attributes:
        path: the file it is kept in.
        features: of each content, 112 numbers.
        plant_shares: of each content, 0..1; see `embeddings.plant_shares`.
        inliers: of two contents, sorted; see `verify.count_inliers`.
    """

    path: Path
    features: dict[str, Features] = field(default_factory=dict)
    plant_shares: dict[str, float] = field(default_factory=dict)
    inliers: dict[tuple[str, str], int] = field(default_factory=dict)
    _num_saved: int = 0

    def save(self) -> None:
        """Write it, whole or not at all."""
        stored = io.BytesIO()
        np.savez(
            stored,
            method=_METHOD,
            contents=np.array(list(self.features), dtype="S64"),
            features=np.stack(list(self.features.values())),
            plant_shares=np.array([self.plant_shares[content] for content in self.features], dtype=np.float32),
            pairs=np.array(list(self.inliers), dtype="S64").reshape(-1, 2),
            inliers=np.array(list(self.inliers.values()), dtype=np.int32),
        )
        write_bytes(self.path, stored.getvalue())
        self._num_saved = self._num_known

    def save_in_time(self) -> None:
        """Write it when it has grown by a tenth: all writings together are then some ten times the last one."""
        if self._num_known - self._num_saved >= max(_SAVE_EVERY, self._num_saved // 10):
            self.save()

    @property
    def _num_known(self) -> int:
        return len(self.features) + len(self.inliers)


def read_seen(path: Path) -> SeenPhotos:
    """Return what the file holds; nothing where there is none, or one of another method."""
    if not path.exists():
        return SeenPhotos(path)
    with np.load(path, allow_pickle=False) as stored:
        if int(stored["method"]) != _METHOD:
            return SeenPhotos(path)
        contents = stored["contents"].astype("U64").tolist()
        pairs = [tuple(pair) for pair in stored["pairs"].astype("U64").tolist()]
        seen = SeenPhotos(
            path,
            features=dict(zip(contents, stored["features"], strict=True)),
            plant_shares=dict(zip(contents, stored["plant_shares"].tolist(), strict=True)),
            inliers=dict(zip(pairs, stored["inliers"].tolist(), strict=True)),
        )
    seen._num_saved = seen._num_known
    return seen
