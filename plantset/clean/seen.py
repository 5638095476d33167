"""What the network of `--embeddings` saw in photos, by content, kept beside the manifest: a rerun reads none again."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantset.core.errors import DataError
from plantset.core.files import write_bytes
from plantset.core.language import tr

_SAVE_EVERY_S = 60  # what a kill may cost; a million photos take two seconds to write
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
    _saved_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._num_saved = self._num_known

    @contextmanager
    def saved(self) -> Iterator[None]:
        """Write what is new at the end, also when an error or Ctrl-C ends it."""
        try:
            yield
        finally:
            if self._num_known > self._num_saved:
                self._save()

    def save_in_time(self) -> None:
        """Write it once a minute."""
        if time.monotonic() - self._saved_at >= _SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
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
        self._num_saved, self._saved_at = self._num_known, time.monotonic()

    @property
    def _num_known(self) -> int:
        return len(self.features) + len(self.inliers)


def memory_path(output_file: Path) -> Path:
    """Return `NAME.embeddings.npz` for `NAME.jsonl`: what `--embeddings` remembers."""
    return output_file.with_name(output_file.name.removesuffix(".jsonl") + ".embeddings.npz")


def read_seen(path: Path) -> SeenPhotos:
    """Return what the file holds; nothing where there is none, or one of another method.

    Raises:
        DataError: the file is damaged.
    """
    stored = _read(path, ("contents", "features", "plant_shares", "pairs", "inliers"))
    if stored is None:
        return SeenPhotos(path)
    contents = stored["contents"].astype("U64").tolist()
    pairs = [(first, second) for first, second in stored["pairs"].astype("U64").tolist()]
    return SeenPhotos(
        path,
        features=dict(zip(contents, stored["features"], strict=True)),
        plant_shares=dict(zip(contents, stored["plant_shares"].tolist(), strict=True)),
        inliers=dict(zip(pairs, stored["inliers"].tolist(), strict=True)),
    )


def read_plant_shares(path: Path) -> dict[str, float]:
    """Return the plant share of each content that the file holds, without reading the rest.

    Raises:
        DataError: the file is damaged.
    """
    stored = _read(path, ("contents", "plant_shares"))
    if stored is None:
        return {}
    return dict(zip(stored["contents"].astype("U64").tolist(), stored["plant_shares"].tolist(), strict=True))


def _read(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]] | None:
    """Return some arrays of the file; None where there is none, or one of another method."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in names} if int(stored["method"]) == _METHOD else None
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
        raise DataError(
            tr(f"{path} is damaged ({error})", f"{path} est abîmé ({error})"),
            tr("remove it: it is made anew", "supprimez-le : il sera refait"),
        ) from error
