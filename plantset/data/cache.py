"""What the frozen part of the vision tower makes of each photo, computed once and memory-mapped.

Content-addressed per photo: a row is known by (weights × preprocessing × augmentation, SHA-256 of the photo, view), so
that a change of any of them finds nothing stale, and ten photos more cost ten photos. What is guaranteed:

- every row's checksum is compared each time that it is read: a changed byte never reaches the model;
- opening compares a sample of each file's rows, or all of them (`check_all`); what is damaged is computed anew;
- a fill that is killed loses at most the file it was writing: an eighth of a GB, or a 32nd of the whole;
- of two processes that want the same rows one fills and the other waits; without file locks (some network disks) both
  fill, each its own files.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor

from plantset.core.errors import ConfigError, DataError
from plantset.core.files import sha256_json
from plantset.core.language import tr
from plantset.core.log import progress, say
from plantset.data.batch import Batch
from plantset.data.choices import CacheDtype
from plantset.data.dataset import BatchMaker, PhotoReader
from plantset.data.feature_files import (
    FeatureFile,
    FeatureWriter,
    RowId,
    find_files,
    remove_leftovers,
    row_bytes,
)
from plantset.data.geometry import Pixels
from plantset.data.module import LoaderSettings, make_loader
from plantset.data.sampler import EpochSampler, Key

Encode = Callable[[Tensor], Tensor]
_FREE_DISK_RATIO = 0.9
_MIN_FILE_BYTES = 1 << 27
_MAX_FILES = 32  # of one fill: each stays open while it is mapped
_SAMPLED_ROWS = 8
_ENCODE_BATCH = 32  # always this many, filled up at the end: a photo's bits must not depend on where a fill was killed
_GB = 1e9


@dataclass(frozen=True, slots=True)
class CacheSpec:
    """What the features depend on.

    Attributes:
        fingerprint: of the weights of the frozen part, the preprocessing and the augmentation.
        photo_hashes: SHA-256 of each photo in hex, in order; two equal photos share their rows.
        num_views: augmented views of each photo; 1 is the one fixed view where the reader does not augment.
        dtype: of a feature on disk; fp16 halves the disk, fp32 changes nothing.
    """

    fingerprint: str
    photo_hashes: tuple[str, ...]
    num_views: int
    dtype: CacheDtype = "fp16"

    def folder_name(self) -> str:
        """Return 16 hex digits: rows of other weights, preprocessing or format lie elsewhere."""
        return sha256_json([self.fingerprint, self.dtype])[:16]


class FeatureCache:
    """Features of every photo and view on disk, read by memory map.

    Args:
        files: that hold the rows.
        places_VN: (views, photos, 2), file and row of each.
    """

    def __init__(self, files: Sequence[FeatureFile], places_VN: NDArray[np.int64]) -> None:
        self._files = files
        self._places_VN = places_VN

    def read(self, keys: Sequence[Key]) -> Tensor:
        """Return (B, …) float32 features; epoch e sees view e modulo the number of views.

        Raises:
            DataError: a row is not as it was written.
        """
        views = len(self._places_VN)
        places = [self._places_VN[key.view % views, key.index] for key in keys]
        rows, scales = zip(*(self._files[file].row(int(row)) for file, row in places), strict=True)
        features = torch.from_numpy(np.stack(rows)).float()
        return features.mul_(torch.tensor(scales).reshape(-1, *[1] * (features.ndim - 1)))


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


class FeatureStore:
    """A folder of cached features: fills what is missing, keeps within its limit.

    Args:
        root: folder of all cached features.
        limit_gb: what the folder may take at most: the least recently used files are removed; None sets no limit.
        check_all: compare every row's checksum when opening, not a sample of them.

    Attributes:
        root: the folder.
    """

    def __init__(self, root: Path, *, limit_gb: float | None = None, check_all: bool = False) -> None:
        self.root = root
        self._limit_bytes = None if limit_gb is None else int(limit_gb * _GB)
        self._num_checked = None if check_all else _SAMPLED_ROWS
        self._used: dict[Path, FeatureFile] = {}

    def open(self, spec: CacheSpec, reader: PhotoReader, encode: Encode, loader: LoaderSettings) -> FeatureCache:
        """Return the features of all photos and views, computing first what is missing.

        Args:
            reader: gives the views, each a function of the photo and the view alone.
            encode: uint8 photos (B, H, W, 3) -> features (B, …), on any device.

        Raises:
            ConfigError: the features do not fit into the limit.
            DataError: the disk has no room for them, a photo cannot be read, or a feature is no finite number.
        """
        folder = self.root / spec.folder_name()
        folder.mkdir(parents=True, exist_ok=True)
        held = self._known_rows(folder)
        if missing := _missing(spec, held):
            with _locked(folder):
                held = self._known_rows(folder)  # another process may have filled it meanwhile
                if missing := _missing(spec, held):
                    remove_leftovers(folder)
                    self._fill(folder, spec, missing, reader, encode, loader)
                    held = self._known_rows(folder)
        return self._assemble(spec, held)

    def unused_files(self) -> list[FeatureFile]:
        """Return the files that this training does not read, the least recently used first."""
        return [file for file in find_files(self.root) if file.path not in self._used]

    def _known_rows(self, folder: Path) -> dict[RowId, tuple[FeatureFile, int]]:
        """Return where each row of a folder lies; a file that is torn or damaged is removed."""
        held: dict[RowId, tuple[FeatureFile, int]] = {}
        for found in find_files(folder):
            file = self._used.get(found.path, found)
            if file is found and not file.is_whole(num_checked=self._num_checked):
                say(tr(f"damaged, computed anew: {file.path}", f"abîmé, recalculé : {file.path}"))
                file.remove()
                continue
            held.update({row_id: (file, row) for row, row_id in enumerate(file.ids())})
        return held

    def _fill(
        self,
        folder: Path,
        spec: CacheSpec,
        missing: list[Key],
        reader: PhotoReader,
        encode: Encode,
        loader: LoaderSettings,
    ) -> None:
        probe = encode(torch.from_numpy(reader.read(missing[0])[None]))
        shape = tuple(probe.shape[1:])
        each = row_bytes(shape, spec.dtype)
        self._make_room(each * len(missing))
        say(_estimate(len(missing), each, self.root))
        rows = max(_MIN_FILE_BYTES // each, len(missing) // _MAX_FILES, 1)
        rows_per_file = -(-rows // _ENCODE_BATCH) * _ENCODE_BATCH  # whole batches
        encoded = _encoded(spec, reader, list(_chunks(missing, _ENCODE_BATCH)), encode, loader)
        for file_keys in _chunks(missing, rows_per_file):
            FeatureWriter(folder, shape, spec.dtype).write(encoded, len(file_keys))

    def _make_room(self, needed_bytes: int) -> None:
        """Remove the least recently used files until the new ones fit; refuse what cannot fit."""
        unused = self.unused_files()
        if self._limit_bytes is not None:
            used = sum(file.size_bytes for file in self._used.values())
            if used + needed_bytes > self._limit_bytes:
                raise _over_limit(used + needed_bytes, self._limit_bytes)
            total = used + needed_bytes + sum(file.size_bytes for file in unused)
            while unused and total > self._limit_bytes:
                oldest = unused.pop(0)
                size = oldest.size_bytes
                total -= size
                oldest.remove()
                say(tr(f"removed, long unused: {oldest.path} ({size / _GB:.2f} GB)",
                       f"supprimé, inutilisé depuis longtemps : {oldest.path} ({size / _GB:.2f} Go)"))  # fmt: skip
        elif unused:
            say(_unused_note(self.root, sum(file.size_bytes for file in unused)))
        free = shutil.disk_usage(self.root).free
        if needed_bytes > free * _FREE_DISK_RATIO:
            raise _disk_full(needed_bytes, free)

    def _assemble(self, spec: CacheSpec, held: dict[RowId, tuple[FeatureFile, int]]) -> FeatureCache:
        numbers: dict[Path, int] = {}
        files: list[FeatureFile] = []
        places_VN = np.empty((spec.num_views, len(spec.photo_hashes), 2), dtype=np.int64)
        for position, photo in enumerate(spec.photo_hashes):
            for view in range(spec.num_views):
                file, row = held[bytes.fromhex(photo), view]
                if file.path not in numbers:
                    numbers[file.path] = len(files)
                    files.append(file)
                places_VN[view, position] = numbers[file.path], row
        for file in files:
            file.touch()
            self._used[file.path] = file
        return FeatureCache(files, places_VN)


def _missing(spec: CacheSpec, held: dict[RowId, tuple[FeatureFile, int]]) -> list[Key]:
    """Return what is still to compute, view by view; of equal photos the first."""
    first = {photo: index for index, photo in reversed(list(enumerate(spec.photo_hashes)))}
    positions = sorted((index, bytes.fromhex(photo)) for photo, index in first.items())
    return [
        Key(view, index) for view in range(spec.num_views) for index, photo in positions if (photo, view) not in held
    ]


def _encoded(
    spec: CacheSpec, reader: PhotoReader, batches: Sequence[list[Key]], encode: Encode, settings: LoaderSettings
) -> Iterator[tuple[list[RowId], NDArray[np.float32]]]:
    loader: Iterable[Any] = make_loader(reader, batches, _stack, dataclasses.replace(settings, pin_memory=False))
    title = tr("photo features", "traits des photos")
    for keys, pixels_BHWC in progress(loader, title=title, total=len(batches), unit="batch"):
        full_BHWC = torch.cat([pixels_BHWC, pixels_BHWC[:1].expand(_ENCODE_BATCH - len(keys), -1, -1, -1)])
        features = encode(full_BHWC)[: len(keys)].to("cpu", torch.float32).numpy()
        yield [(bytes.fromhex(spec.photo_hashes[key.index]), key.epoch) for key in keys], features


def _stack(items: Sequence[tuple[Key, Pixels | DataError]]) -> tuple[list[Key], Tensor] | DataError:
    views: list[Pixels] = []
    for _, view in items:
        if isinstance(view, DataError):
            return view
        views.append(view)
    return [key for key, _ in items], torch.from_numpy(np.stack(views))


def _chunks(keys: list[Key], size: int) -> Iterator[list[Key]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when its holder dies."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(tr(f"another process fills {folder}: waiting", f"un autre processus remplit {folder} : attente"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _estimate(rows: int, each: int, root: Path) -> str:
    total = rows * each / _GB
    return tr(
        f"photo features to compute: {rows} × {each / 1e3:.0f} kB = {total:.2f} GB in {root}",
        f"traits des photos à calculer : {rows} × {each / 1e3:.0f} ko = {total:.2f} Go dans {root}",
    )


def _unused_note(root: Path, unused_bytes: int) -> str:
    size = unused_bytes / _GB
    return tr(
        f"note: {root} holds {size:.2f} GB of features that this training does not use; --cache-gb sets a limit",
        f"note : {root} contient {size:.2f} Go de traits que cet entraînement n'utilise pas ; --cache-gb fixe une"
        " limite",
    )


def _over_limit(needed_bytes: int, limit_bytes: int) -> ConfigError:
    needed, limit = needed_bytes / _GB, limit_bytes / _GB
    return ConfigError(
        tr(
            f"the feature cache needs {needed:.2f} GB, --cache-gb allows {limit:.2f}",
            f"le cache de traits demande {needed:.2f} Go, --cache-gb en autorise {limit:.2f}",
        ),
        tr("give more --cache-gb, or fewer --cache-views", "donnez plus de --cache-gb, ou moins de --cache-views"),
    )


def _disk_full(needed_bytes: int, free_bytes: int) -> DataError:
    needed, free = needed_bytes / _GB, free_bytes / _GB
    return DataError(
        tr(
            f"the feature cache needs {needed:.1f} GB more, {free:.1f} GB are free",
            f"le cache de traits demande {needed:.1f} Go de plus, {free:.1f} Go sont libres",
        ),
        tr(
            "free some disk space, give another --cache-dir, or fewer --cache-views",
            "libérez de la place, donnez un autre --cache-dir, ou moins de --cache-views",
        ),
    )
