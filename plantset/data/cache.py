"""What the frozen part of the vision tower makes of each photo, computed once and memory-mapped.

Content-addressed: the folder's name is a hash of weights, preprocessing, photos and augmentation seed, so that a
change of any of them finds no cache and a stale one is never read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plantset.core.errors import DataError
from plantset.core.files import read_json, sha256_json, write_json
from plantset.core.language import tr
from plantset.core.log import progress
from plantset.data.batch import Batch
from plantset.data.dataset import BatchMaker, PhotoReader
from plantset.data.module import LoaderSettings, make_loader
from plantset.data.sampler import EpochSampler, Key

Encode = Callable[[Tensor], Tensor]
_FREE_DISK_RATIO = 0.9


@dataclass(frozen=True, slots=True)
class CacheSpec:
    """What the features depend on.

    Attributes:
        fingerprint: of the weights of the frozen part, the preprocessing and the augmentation.
        photo_hashes: SHA-256 of each photo, in order.
        num_views: augmented views of each photo; 1 with `augment` False is the one fixed view.
    """

    fingerprint: str
    photo_hashes: tuple[str, ...]
    num_views: int

    def folder_name(self) -> str:
        """Return 16 hex digits that name this content."""
        return sha256_json([self.fingerprint, self.photo_hashes, self.num_views])[:16]


class FeatureCache:
    """Features of every photo and view as fp16 on disk, read by memory map.

    Args:
        folder: of this cache alone, named by `CacheSpec.folder_name`.
    """

    def __init__(self, folder: Path, num_views: int) -> None:
        self._views: list[NDArray[np.float16]] = [
            np.load(_view_path(folder, view), mmap_mode="r") for view in range(num_views)
        ]

    def read(self, keys: Sequence[Key]) -> Tensor:
        """Return (B, …) float32 features; epoch e sees view e modulo the number of views."""
        rows = [self._views[key.epoch % len(self._views)][key.index] for key in keys]
        return torch.from_numpy(np.stack(rows).astype(np.float32))


class CachedLoader:
    """The batches of an epoch with features from the cache in place of photos."""

    def __init__(self, cache: FeatureCache, sampler: EpochSampler, maker: BatchMaker) -> None:
        self._cache = cache
        self._sampler = sampler
        self._maker = maker

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Batch]:
        for keys in self._sampler:
            yield self._maker.make(keys, features_B=self._cache.read(keys))


def open_cache(
    root: Path, spec: CacheSpec, reader: PhotoReader, maker: BatchMaker, encode: Encode, loader: LoaderSettings
) -> FeatureCache:
    """Return the cache, filling first what is missing; a killed fill goes on with the next view.

    Args:
        root: folder of all caches.
        reader: gives the views; augmenting when `spec.num_views` are wanted.
        encode: uint8 photos (B, H, W, 3) -> features (B, …), on any device.

    Raises:
        DataError: the disk has no room for it, or a photo cannot be read.
    """
    folder = root / spec.folder_name()
    folder.mkdir(parents=True, exist_ok=True)
    for view in range(spec.num_views):
        if not _is_whole(folder, view):
            _fill_view(folder, view, len(spec.photo_hashes), reader, maker, encode, loader, spec.num_views)
    return FeatureCache(folder, spec.num_views)


def _fill_view(
    folder: Path,
    view: int,
    num_photos: int,
    reader: PhotoReader,
    maker: BatchMaker,
    encode: Encode,
    loader: LoaderSettings,
    num_views: int,
) -> None:
    sampler = EpochSampler(num_photos, loader.batch_size, seed=0, epoch=view, shuffle=False)
    title = tr(f"photo features, view {view + 1}/{num_views}", f"traits des photos, vue {view + 1}/{num_views}")
    stored: np.memmap[Any, np.dtype[np.float16]] | None = None
    batches = make_loader(reader, sampler, maker, loader)
    for batch in progress(batches, title=title, total=len(sampler), unit="batch"):
        real = int(batch.weights_B.sum())
        assert batch.pixels_BHWC is not None
        features = encode(batch.pixels_BHWC[:real]).to("cpu", torch.float16).numpy()
        if stored is None:
            shape = (num_photos, *features.shape[1:])
            _check_disk(folder, int(np.prod(shape)) * 2)
            stored = np.lib.format.open_memmap(_view_path(folder, view), "w+", np.float16, shape)
        stored[batch.indices_B[:real].numpy()] = features
    assert stored is not None
    stored.flush()
    write_json(_mark_path(folder, view), {"shape": list(stored.shape), "checksum": _checksum(stored)})


def _is_whole(folder: Path, view: int) -> bool:
    """Return whether the view was filled to the end and still has the bytes that were written (sampled)."""
    if not _mark_path(folder, view).exists() or not _view_path(folder, view).exists():
        return False
    mark = read_json(_mark_path(folder, view))
    try:
        stored: NDArray[np.float16] = np.load(_view_path(folder, view), mmap_mode="r")
    except (ValueError, EOFError):  # a torn file: filled again
        return False
    return bool(list(stored.shape) == mark["shape"] and _checksum(stored) == mark["checksum"])


def _checksum(stored: NDArray[np.float16]) -> float:
    """Return the sum over 64 evenly spaced photos: finds an unfilled or exchanged file without reading all of it."""
    rows = np.linspace(0, len(stored) - 1, num=min(64, len(stored))).astype(int)
    return float(stored[rows].astype(np.float64).sum())


def _check_disk(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > free * _FREE_DISK_RATIO:
        raise DataError(
            tr(
                f"the feature cache needs {needed_bytes / 1e9:.1f} GB a view, {free / 1e9:.1f} GB are free",
                f"le cache de traits demande {needed_bytes / 1e9:.1f} Go par vue, {free / 1e9:.1f} Go sont libres",
            ),
            tr(
                "free some disk space, give another --cache-dir, or fewer --cache-views",
                "libérez de la place, donnez un autre --cache-dir, ou moins de --cache-views",
            ),
        )


def _view_path(folder: Path, view: int) -> Path:
    return folder / f"view_{view}.npy"


def _mark_path(folder: Path, view: int) -> Path:
    return folder / f"view_{view}.json"
