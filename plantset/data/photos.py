"""Where the photos of a list of records lie: files of their own, or rows of shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from plantset.core.photo import Photo, PhotoError, decode_photo
from plantset.core.records import Record
from plantset.core.shards import ShardPhotos
from plantset.data.photo_hashes import hash_photos


class Photos(Protocol):
    """The photos of a list of records, by their place in it; picklable, for worker processes."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int, /) -> Path | bytes:
        """Return what `decode_photo` takes."""


class PhotoFiles:
    """Photos that are files under one folder.

    Args:
        names: relative to the folder.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, at: int) -> Path:
        return self._folder / self._names[at]

    def __iter__(self) -> Iterator[Path]:
        return (self._folder / name for name in self._names)


def photos_of(records: Sequence[Record], folder: Path) -> PhotoFiles | ShardPhotos:
    """Return the photos of these records.

    Args:
        folder: what `core.shards.open_photos` returned with them.
    """
    if not records or records[0].shard_row is None:
        return PhotoFiles(folder, [record.image_path for record in records])
    return ShardPhotos(folder, np.array([record.shard_row for record in records], dtype=np.int64))


def photo_digests(photos: PhotoFiles | ShardPhotos, memory_path: Path) -> tuple[str, ...]:
    """Return the SHA-256 of each photo's bytes in hex: the same whether it is a file or in a shard.

    Args:
        memory_path: where the digests of files are remembered.
    """
    if isinstance(photos, ShardPhotos):
        return tuple(photos.sha256())
    return tuple(hash_photos(list(photos), memory_path))


def decode_one(photos: Photos, at: int, *, longer_side_px: int | None = None) -> Photo:
    """Decode photo `at`; the arguments are `decode_photo`'s.

    Raises:
        PhotoError: it is broken; its file is named, of shards the row too.
    """
    return decode_source(photos, at, photos[at], longer_side_px=longer_side_px)


def decode_source(
    photos: Photos | Sequence[Path],
    at: int,
    source: Path | bytes,
    *,
    longer_side_px: int | None = None,
    least_side_px: int | None = None,
) -> Photo:
    """Decode photo `at` of which `source` was read before."""
    try:
        return decode_photo(source, longer_side_px=longer_side_px, least_side_px=least_side_px)
    except PhotoError as error:
        if isinstance(photos, ShardPhotos):
            raise PhotoError(error.reason, error.detail, photos.name(at)) from error
        raise


def find_broken(photos: Photos, at: int) -> str | None:
    """Return why photo `at` cannot be decoded, None where it can."""
    try:
        decode_one(photos, at)
    except PhotoError as error:
        return error.problem
    return None
