"""One file of cached features: immutable rows, each known by its photo and view, each with its own checksum.

`NAME.npy` holds the rows (N, …), `NAME.npz` says whose they are. The second is written last: rows without it were cut
short and count for nothing. Each row is divided by its own power of two before it becomes fp16, so that no value leaves
the format's range, and the format's 11 bits stand behind every row, however small its values.
"""

from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from plantset.core.errors import DataError
from plantset.core.files import atomic_path
from plantset.core.language import tr
from plantset.data.choices import CacheDtype

RowId = tuple[bytes, int]
_NUMPY_DTYPES = {"fp16": np.float16, "fp32": np.float32}
_FP16_EXPONENT = 15  # rows are scaled to below 2 ** 15: the largest fp16 is 65,504


@dataclass(frozen=True)
class FeatureFile:
    """A file of rows, mapped into memory when first read.

    Attributes:
        path: of the `.npz` that makes the rows count.
    """

    path: Path

    @cached_property
    def index(self) -> dict[str, NDArray[Any]]:
        """photos (N, 32) uint8, views (N,), checksums (N,) uint64 and scales (N,) float32; a zip, with its own CRC.

        Raises:
            ValueError: it is not whole.
        """
        try:
            with np.load(self.path) as held:
                return {name: held[name] for name in ("photos", "views", "checksums", "scales")}
        except (zipfile.BadZipFile, EOFError, KeyError) as error:
            raise ValueError(f"{self.path}: {error}") from error

    @cached_property
    def rows(self) -> NDArray[Any]:
        """The rows as they are stored, by memory map."""
        return np.load(self.rows_path, mmap_mode="r")  # type: ignore[no-any-return]

    @property
    def rows_path(self) -> Path:
        """Where the rows lie."""
        return self.path.with_suffix(".npy")

    @property
    def size_bytes(self) -> int:
        """Return what both files take on disk; 0 once they are gone."""
        return sum(_size(path) for path in (self.path, self.rows_path))

    def ids(self) -> Iterator[RowId]:
        """Yield (SHA-256 of the photo, view) of each row."""
        for photo, view in zip(self.index["photos"], self.index["views"], strict=True):
            yield photo.tobytes(), int(view)

    def is_whole(self, *, num_checked: int | None) -> bool:
        """Return whether the file has the bytes that were written.

        Args:
            num_checked: evenly spaced rows whose checksum is compared; None compares all.
        """
        try:
            count, rows = len(self.index["checksums"]), self.rows
        except (ValueError, EOFError, FileNotFoundError):
            return False
        if len(rows) != count:
            return False
        chosen = np.arange(count) if num_checked is None else np.linspace(0, count - 1, min(num_checked, count))
        return all(self._is_row_whole(int(row), rows[int(row)]) for row in chosen)

    def row(self, row: int) -> tuple[NDArray[Any], np.float32]:
        """Return a row as stored, and what it must be multiplied by.

        Raises:
            DataError: its bytes are not those that were written; both files are removed, to be computed anew.
        """
        stored = self.rows[row]
        if not self._is_row_whole(row, stored):
            self.remove()
            raise _damaged(self.rows_path)
        return stored, self.index["scales"][row]

    def touch(self) -> None:
        """Remember that the file is used now."""
        os.utime(self.path)

    def remove(self) -> None:
        """Delete both files, first the one that makes the rows count."""
        self.path.unlink(missing_ok=True)
        self.rows_path.unlink(missing_ok=True)

    def _is_row_whole(self, row: int, stored: NDArray[Any]) -> bool:
        return xxhash.xxh3_64_intdigest(stored.data) == int(self.index["checksums"][row])


class FeatureWriter:
    """Writes one file of rows; what is not finished leaves nothing that counts.

    Args:
        shape: of one row.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: CacheDtype) -> None:
        self._path = folder / f"{uuid.uuid4().hex}.npz"  # unique: two processes never write the same file
        self._shape = shape
        self._dtype: CacheDtype = dtype
        self._ids: list[RowId] = []
        self._checksums: list[int] = []
        self._scales: list[np.float32] = []

    def write(self, batches: Iterator[tuple[list[RowId], NDArray[np.float32]]], num_rows: int) -> None:
        """Take `num_rows` rows from the batches, write them, and let them count.

        Raises:
            DataError: a feature is NaN or infinite.
        """
        with atomic_path(self._path.with_suffix(".npy")) as temporary, temporary.open("wb") as out:
            header = {"shape": (num_rows, *self._shape), "fortran_order": False}
            descr = np.lib.format.dtype_to_descr(np.dtype(_NUMPY_DTYPES[self._dtype]))
            np.lib.format.write_array_header_1_0(out, {**header, "descr": descr})
            while len(self._ids) < num_rows:
                ids, features = next(batches)
                stored, scales = scale_rows(features, self._dtype)
                out.write(stored.data)
                self._ids += ids
                self._scales += list(scales)
                self._checksums += [xxhash.xxh3_64_intdigest(memoryview(row)) for row in stored]
        assert len(self._ids) == num_rows, "a file ends where a batch ends"
        self._write_index()

    def _write_index(self) -> None:
        with atomic_path(self._path) as temporary, temporary.open("wb") as out:
            np.savez(
                out,
                photos=np.frombuffer(b"".join(photo for photo, _ in self._ids), dtype=np.uint8).reshape(-1, 32),
                views=np.array([view for _, view in self._ids], dtype=np.uint32),
                checksums=np.array(self._checksums, dtype=np.uint64),
                scales=np.array(self._scales, dtype=np.float32),
            )


def scale_rows(features_B: NDArray[np.float32], dtype: CacheDtype) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return rows in the format of the cache, and the power of two (B,) that each must be multiplied by.

    A power of two changes the exponent alone: what fp16 can hold without it comes back as from fp16 without it.

    Raises:
        DataError: a value is NaN or infinite.
    """
    largest_B = np.abs(features_B).reshape(len(features_B), -1).max(axis=1)
    if not np.isfinite(largest_B).all():
        raise _not_finite()
    if dtype == "fp32":
        return np.ascontiguousarray(features_B, dtype=np.float32), np.ones(len(features_B), dtype=np.float32)
    _, exponent_B = np.frexp(largest_B)  # largest < 2 ** exponent
    scale_B = np.ldexp(np.float32(1), np.clip(exponent_B - _FP16_EXPONENT, -126, 127)).astype(np.float32)
    spread = (-1, *[1] * (features_B.ndim - 1))
    return np.ascontiguousarray((features_B / scale_B.reshape(spread)).astype(np.float16)), scale_B


def row_bytes(shape: tuple[int, ...], dtype: CacheDtype) -> int:
    """Return what one row takes on disk."""
    return int(np.prod(shape)) * int(np.dtype(_NUMPY_DTYPES[dtype]).itemsize)


def find_files(folder: Path) -> list[FeatureFile]:
    """Return the files of a folder and of the folders in it, the least recently used first."""
    used: list[tuple[float, Path]] = []
    for path in folder.rglob("*.npz"):
        try:
            used.append((path.stat().st_mtime, path))
        except FileNotFoundError:  # another process removed it meanwhile
            continue
    return [FeatureFile(path) for _, path in sorted(used)]


def remove_leftovers(folder: Path) -> None:
    """Remove what killed fills left: temporary files, and rows that nothing says whose they are."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)
    for path in folder.glob("*.npy"):
        if not path.with_suffix(".npz").exists():
            path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _damaged(path: Path) -> DataError:
    return DataError(
        tr(
            f"{path}: cached features are damaged (a wrong checksum); the file is removed",
            f"{path} : des traits en cache sont abîmés (somme de contrôle fausse) ; le fichier est supprimé",
        ),
        tr(
            "start again with --resume auto: the missing features are computed anew; check the disk",
            "relancez avec --resume auto : les traits manquants seront recalculés ; vérifiez le disque",
        ),
    )


def _not_finite() -> DataError:
    return DataError(
        tr(
            "the frozen part of the vision tower gives values that are not numbers",
            "la partie gelée de la tour de vision donne des valeurs qui ne sont pas des nombres",
        ),
        tr(
            "its weights are damaged or unsuited: give others, or train without --mixed-precision",
            "ses poids sont abîmés ou inadaptés : donnez-en d'autres, ou entraînez sans --mixed-precision",
        ),
    )
