"""A manifest and its photos in a few large Parquet files, for photos by the million, here or in an object store.

```
DIR/index.json                           files, rows, bytes and SHA-256 of each, classes, what they were made from
DIR/records.parquet                      the fields of every record, and where in which file its photo lies
DIR/data/train-00000-of-00012.parquet    the same fields behind the photos, as any reader of Parquet sees them
```

The photos are a column `image` of the Hugging Face image schema, {bytes, path}, neither compressed nor encoded: so each
photo lies in one piece of its file, and `records.parquet` says where. Reading one photo is reading its bytes, from a
disk or by one range request from a store, and any order of the photos costs alike.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from plantset.core.errors import ConfigError, DataError
from plantset.core.language import tr
from plantset.core.photo_error import PhotoError
from plantset.core.record_rows import RowReader
from plantset.core.records import Record, Split, find_images_dir, read_records, record_reader, with_class_ids
from plantset.core.storage import is_remote, read_ranges, read_stored, status_of, url_of

INDEX_NAME, RECORDS_NAME, DATA_DIR = "index.json", "records.parquet", "data"
SHARDS_VERSION = 1
PLACE_FIELDS = ("image_sha256", "image_offset", "image_bytes", "image_xxh3")
JSON_FIELDS = ("texts", "text_source", "match")  # objects, written as JSON: any key may occur in them


@dataclass(frozen=True, slots=True)
class ShardFile:
    """One Parquet file of photos.

    Attributes:
        name: relative to the folder.
        fingerprint: of its records and the sizes of their photos: what it was made from.
    """

    name: str
    split: Split
    rows: int
    bytes: int
    sha256: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """What `index.json` says.

    Attributes:
        files: in the order of the records.
        classes: class ids in index order.
        source: fingerprint of the manifest that they were made from.
        records_sha256: of `records.parquet`.
    """

    files: tuple[ShardFile, ...]
    classes: tuple[str, ...]
    source: str
    records_sha256: str
    num_photos: int
    schema_version: int = SHARDS_VERSION


def shards_dir(path: Path) -> Path | None:
    """Return the folder of shards that `path` names, itself or by its index; None where it is a manifest."""
    if path.name == INDEX_NAME:
        return path.parent
    return None if path.name.endswith((".jsonl", ".json")) or not _has_index(path) else path


def open_photos(path: Path, root_dir: Path | None = None) -> tuple[list[Record], Path]:
    """Read a manifest, or shards, and return the records and the folder that their photos are in.

    Args:
        path: a JSONL file; or a folder of shards or its `index.json`, local, `s3://` or `gs://`.
        root_dir: another folder of the images of a JSONL file.

    Raises:
        DataError: something is absent or damaged; file, line and field named.
    """
    folder = shards_dir(path)
    if folder is not None:
        return read_shard_records(folder), folder
    records = read_records(path)
    return records, find_images_dir(path, records, root_dir)


def read_index(folder: Path, name: str = INDEX_NAME) -> ShardIndex:
    """Read the index of a folder of shards.

    Raises:
        DataError: it is absent, torn or of a newer plantset.
    """
    path = folder / name
    try:
        found = json.loads(read_stored(path))
        files = tuple(ShardFile(**file) for file in found.pop("files"))
        index = ShardIndex(**{**found, "files": files, "classes": tuple(found["classes"])})
    except OSError as error:
        raise _no_shards(folder, str(error.strerror or error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_shards(folder, str(error)) from error
    if index.schema_version > SHARDS_VERSION:
        raise _no_shards(folder, f"schema version {index.schema_version} > {SHARDS_VERSION}")
    return index


def read_shard_records(folder: Path) -> list[Record]:
    """Return the records of all shards, in the order of the files, each with its `shard_row`.

    Raises:
        DataError: `records.parquet` is damaged or not the index's.
    """
    index = read_index(folder)
    table = read_record_table(folder)
    if table.num_rows != sum(file.rows for file in index.files):
        raise _no_shards(folder, f"{RECORDS_NAME}: {table.num_rows} rows, index: {sum(f.rows for f in index.files)}")
    reader = record_reader(folder / RECORDS_NAME)
    return with_class_ids(list(_records(table, reader)))


def read_record_table(folder: Path, columns: Sequence[str] | None = None) -> Any:
    """Return `records.parquet` as a pyarrow table, texts of a class once each.

    Raises:
        DataError: it is absent or damaged.
    """
    parquet = pyarrow_parquet()
    path = folder / RECORDS_NAME
    try:
        source = BytesIO(read_stored(path)) if is_remote(path) else str(path)
        return parquet.read_table(
            source, columns=columns, read_dictionary=_shared_columns(), page_checksum_verification=True
        )
    except OSError as error:  # pyarrow's own errors of damaged files are of this kind, and of ValueError
        raise _no_shards(path, str(error)) from error
    except ValueError as error:
        raise _no_shards(path, str(error)) from error


class ShardPhotos:
    """The bytes of photos in shards, by their place in a list of records; picklable, for worker processes.

    Args:
        folder: of the shards.
        rows_N: of each photo, over all files.

    Attributes:
        is_remote: several photos had better be asked for at once (`fetch`).
    """

    def __init__(self, folder: Path, rows_N: NDArray[np.int64]) -> None:
        index = read_index(folder)
        ends = np.cumsum([file.rows for file in index.files])
        table = read_record_table(folder, list(PLACE_FIELDS[1:]))
        self.folder = folder
        self.is_remote = is_remote(folder)
        self._paths = [folder / file.name for file in index.files]
        self._rows_N = rows_N
        self._files_N = np.searchsorted(ends, rows_N, side="right").astype(np.int32)
        self._starts_N, self._sizes_N, self._sums_N = (
            table[name].to_numpy()[rows_N].astype(kind)
            for name, kind in zip(PLACE_FIELDS[1:], (np.int64, np.int32, np.uint64), strict=True)
        )
        self._open: dict[int, Any] = {}
        self._names: Any = None

    def __del__(self) -> None:
        for file in self.__dict__.get("_open", {}).values():
            file.close()

    def __len__(self) -> int:
        return len(self._rows_N)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}, "_names": None}  # opened and read again where they are asked for

    def __getitem__(self, at: int) -> bytes:
        """Return the bytes of photo `at`.

        Raises:
            PhotoError: they are not what was written; the file, the row and the photo are named.
        """
        return self.fetch([at])[0]

    def fetch(self, places: Sequence[int]) -> list[bytes]:
        """Return the bytes of several photos; a store is asked for all of them at once.

        Raises:
            PhotoError: as for one.
            DataError: the store does not answer.
        """
        asked = [(self._paths[self._files_N[at]], int(self._starts_N[at]), int(self._sizes_N[at])) for at in places]
        try:
            found = read_ranges(asked) if self.is_remote else [self._read(at) for at in places]
        except OSError as error:
            raise PhotoError("unreadable", error.strerror or str(error), self.name(places[0])) from error
        for at, data in zip(places, found, strict=True):
            if xxhash.xxh3_64_intdigest(data) != int(self._sums_N[at]):
                raise PhotoError("corrupt", "checksum", self.name(at))
        return found

    def _read(self, at: int) -> bytes:
        number = int(self._files_N[at])
        file = self._open.get(number)
        if file is None:
            if len(self._open) >= _MAX_OPEN_FILES:
                self._open.pop(next(iter(self._open))).close()
            file = self._open[number] = self._paths[number].open("rb", buffering=0)
        file.seek(int(self._starts_N[at]))
        return bytes(file.read(int(self._sizes_N[at])))

    def name(self, at: int) -> str:
        """Return file, row and path of photo `at`, for a message."""
        if self._names is None:
            self._names = read_record_table(self.folder, ["image_path"])["image_path"]
        paths = self._names
        row = int(self._rows_N[at])
        return f"{self._paths[self._files_N[at]].name} row {row} ({paths[row].as_py()})"

    def sha256(self) -> list[str]:
        """Return the SHA-256 of each photo's bytes in hex."""
        return list(read_record_table(self.folder, ["image_sha256"])["image_sha256"].take(self._rows_N).to_pylist())


_MAX_OPEN_FILES = 64


def check_shards(folder: Path) -> None:
    """Refuse shards of which a file is missing or has another length than it had.

    Raises:
        DataError: naming the first.
    """
    for file in read_index(folder).files:
        path = folder / file.name
        try:
            size = status_of(path).size
        except OSError as error:
            raise _broken(url_of(path), error.strerror or str(error)) from error
        if size != file.bytes:
            raise _broken(url_of(path), f"{size} bytes, index: {file.bytes}")


def pyarrow_parquet() -> Any:
    """Import pyarrow, which only shards need.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(
            tr("shards need pyarrow", "les fichiers Parquet ont besoin de pyarrow"), "pip install 'plantset[shards]'"
        ) from error
    return parquet


def _has_index(folder: Path) -> bool:
    try:
        status_of(folder / INDEX_NAME)
    except OSError:
        return False
    return True


def _shared_columns() -> list[str]:
    unique = {"image_path", "source_path", "sha256", "phash", "taken_at", "copy_of", "group"}
    texts = [spec.name for spec in dataclasses.fields(Record) if str(spec.type).removesuffix(" | None") in _TEXT_TYPES]
    return [*(name for name in texts if name not in unique), *JSON_FIELDS]


_TEXT_TYPES = ("str", "Split")


def _records(table: Any, reader: RowReader[Record]) -> Iterator[Record]:
    names = [name for name in table.column_names if name not in PLACE_FIELDS]
    row, parsed = 0, dict[str, Any]()
    for batch in table.select(names).to_batches():
        columns = [_values(batch.column(at), parsed if name in JSON_FIELDS else None) for at, name in enumerate(names)]
        for values in zip(*columns, strict=True):
            yield reader.read(row + 1, {**dict(zip(names, values, strict=True)), "shard_row": row})
            row += 1


def _values(column: Any, parsed: dict[str, Any] | None) -> list[Any]:
    """Return a column as Python values; equal texts and objects are one object.

    Args:
        parsed: of a column of JSON, what its texts stand for; it grows, over all batches, for each has its dictionary.
    """
    if not hasattr(column, "dictionary"):
        return list(column.to_pylist())
    known = column.dictionary.to_pylist()
    if parsed is not None:
        for text in known:
            if text is not None and text not in parsed:
                parsed[text] = json.loads(text)
        known = [None if text is None else parsed[text] for text in known]
    return [None if at is None else known[at] for at in column.indices.to_pylist()]


def _no_shards(path: Path, why: str) -> DataError:
    return DataError(
        tr(f"{url_of(path)} holds no readable shards: {why}", f"{url_of(path)} ne contient pas de fichiers lisibles :"
           f" {why}"),
        tr("make them anew: plantset shard", "refaites-les : plantset shard"),
    )  # fmt: skip


def _broken(name: str, why: str) -> DataError:
    return DataError(
        tr(f"{name} is damaged: {why}", f"{name} est abîmé : {why}"),
        tr(
            "make it anew: remove that file and run plantset shard again; --skip-broken trains without its photos",
            "refaites-le : supprimez ce fichier et relancez plantset shard ; --skip-broken s'en passe",
        ),
    )
