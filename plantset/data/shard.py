"""`plantset shard`: a manifest and its photos as Parquet files of the Hugging Face image schema (`core.shards`).

Each file is a function of its records and their photos alone: a run that was killed finds the whole files of before,
by a fingerprint that stands in each, and writes the others as it would have.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from plantset.core.bounds import check_at_least
from plantset.core.errors import DataError
from plantset.core.files import sha256_file, sha256_json
from plantset.core.language import tr
from plantset.core.log import progress
from plantset.core.records import Record, Split, class_names, find_images_dir, iter_splits, read_records, to_row
from plantset.core.shards import (
    DATA_DIR,
    INDEX_NAME,
    JSON_FIELDS,
    PLACE_FIELDS,
    RECORDS_NAME,
    SHARDS_VERSION,
    ShardFile,
    ShardIndex,
    pyarrow_parquet,
    read_index,
)
from plantset.core.storage import (
    FileStatus,
    open_stored,
    read_stored,
    remove_stored,
    status_of,
    url_of,
    whole_file,
    write_stored,
)
from plantset.data.config import ShardConfig

# What other readers of Parquet must take to have one photo: 2.2 ms of CPU at 4 MiB, 0.5 at 1, 13 at 32 (96 kB a photo,
# n = 600, benchmarks/shards.py); decoding is 2.8. Smaller groups swell the footer. Plantset itself reads the bytes of
# the photo alone: 27 µs whatever the groups.
ROW_GROUP_BYTES = 4 << 20
_MB = 1_000_000
_PARTIAL_NAME = "index.partial.json"
_PLACES, _HUGGINGFACE = "plantset.places", "huggingface"
_LISTS, _SIZES = ("mask_terms", "issues", "group_rules"), ("original_size", "size")
_STRING = {"dtype": "string", "_type": "Value"}
_DICTIONARY_BYTES = 64 << 20  # the texts of all classes: a dictionary that is full would write each of them in full


@dataclass(frozen=True)
class ShardReport:
    """What lies in the folder now.

    Attributes:
        num_written, num_kept: files of this run, and whole ones of an earlier run.
    """

    output_dir: Path
    num_photos: int
    num_bytes: int
    num_written: int
    num_kept: int

    def summary(self) -> str:
        """Return what was written, and the next command."""
        size, place = self.num_bytes / _MB, url_of(self.output_dir)
        return tr(
            f"{self.num_photos} photos in {self.num_written + self.num_kept} files, {size:.1f} MB: {place}"
            f" ({self.num_written} written, {self.num_kept} kept)\nnext: plantset train --jsonl-file {place}",
            f"{self.num_photos} photos dans {self.num_written + self.num_kept} fichiers, {size:.1f} Mo : {place}"
            f" ({self.num_written} écrits, {self.num_kept} gardés)\nensuite : plantset train --jsonl-file {place}",
        )

    @property
    def exit_code(self) -> int:
        """Return 0: what could not be written raises."""
        return 0


@dataclass(frozen=True)
class _Plan:
    """One file to be: its records, their photos' sizes and times."""

    name: str
    split: Split
    records: Sequence[Record]
    statuses: Sequence[FileStatus]

    @cached_property
    def fingerprint(self) -> str:
        """Hash what the file's bytes depend on; a photo changed in place is known by its time (`_is_whole`)."""
        rows = [to_row(record) for record in self.records]
        return sha256_json([SHARDS_VERSION, ROW_GROUP_BYTES, rows, [status.size for status in self.statuses]])


def shard(config: ShardConfig) -> ShardReport:
    """Write the shards of a manifest; whole files of an earlier run are kept.

    Raises:
        ConfigError: a number is out of range, or pyarrow is not installed.
        DataError: the manifest or a photo is missing, or the folder's store does not answer.
    """
    check_at_least([("--shard-mb", config.shard_mb, 1)])
    parquet = pyarrow_parquet()
    records = read_records(config.jsonl_file)
    images_dir = find_images_dir(config.jsonl_file, records, config.root_dir)
    folder = config.output_dir
    plans = _plan_files(records, images_dir, config.shard_mb * _MB)
    known = _known_files(folder)
    classes, source = class_names(records), sha256_json([plan.fingerprint for plan in plans])
    files: list[ShardFile] = []
    with whole_file(folder / RECORDS_NAME) as temporary:
        with parquet.ParquetWriter(str(temporary), _records_schema(), **_records_style()) as writer:
            for plan in progress(plans, title=tr("shards", "fichiers"), unit="file"):
                file = known.get(plan.name)
                if file is None or not _is_whole(file, plan, folder):
                    file = _write_file(folder, plan, images_dir)
                    write_stored(folder / _PARTIAL_NAME, _index_bytes([*files, file], classes, source, ""))
                files.append(file)
                writer.write_table(_record_columns(folder / file.name))
        records_sha256 = sha256_file(temporary)
    write_stored(folder / INDEX_NAME, _index_bytes(files, classes, source, records_sha256))
    remove_stored(folder / _PARTIAL_NAME)
    num_kept = sum(known.get(file.name) is file for file in files)
    return ShardReport(folder, sum(f.rows for f in files), sum(f.bytes for f in files), len(files) - num_kept, num_kept)


# ---- what to write --------------------------------------------------------------------------------------------------


def _plan_files(records: Sequence[Record], images_dir: Path, shard_bytes: int) -> list[_Plan]:
    """Cut each split, in manifest order, where its photos reach `shard_bytes`."""
    plans: list[_Plan] = []
    for split, rows in iter_splits(records):
        statuses = [_status(images_dir / record.image_path) for record in rows]
        cuts = _cuts([status.size for status in statuses], shard_bytes)
        for number, (start, stop) in enumerate(cuts):
            name = f"{DATA_DIR}/{split}-{number:05d}-of-{len(cuts):05d}.parquet"
            plans.append(_Plan(name, split, rows[start:stop], statuses[start:stop]))
    return plans


def _cuts(sizes: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Return (start, stop) of runs that each reach `limit`, the last excepted."""
    cuts: list[tuple[int, int]] = []
    start = total = 0
    for stop, size in enumerate(sizes, start=1):
        total += size
        if total >= limit or stop == len(sizes):
            cuts.append((start, stop))
            start, total = stop, 0
    return cuts


def _status(path: Path) -> FileStatus:
    try:
        return status_of(path)
    except OSError as error:
        raise _missing(path, error) from error


def _known_files(folder: Path) -> dict[str, ShardFile]:
    """Return the files that earlier runs finished, by name."""
    known: dict[str, ShardFile] = {}
    for name in (INDEX_NAME, _PARTIAL_NAME):
        with suppress(OSError, DataError):  # absent or torn: they are written again
            known |= {file.name: file for file in read_index(folder, name).files}
    return known


def _is_whole(file: ShardFile, plan: _Plan, folder: Path) -> bool:
    try:
        status = status_of(folder / file.name)
    except OSError:
        return False
    newest_ns = max(photo.mtime_ns for photo in plan.statuses)
    return file.fingerprint == plan.fingerprint and status.size == file.bytes and newest_ns <= status.mtime_ns


# ---- one file -------------------------------------------------------------------------------------------------------


def _write_file(folder: Path, plan: _Plan, images_dir: Path) -> ShardFile:
    parquet = pyarrow_parquet()
    places: list[tuple[int, int, int]] = []
    path = folder / plan.name
    with whole_file(path) as temporary:
        with parquet.ParquetWriter(str(temporary), _photos_schema(), **_photos_style()) as writer:
            for start, stop in _cuts([status.size for status in plan.statuses], ROW_GROUP_BYTES):
                photos = [_read(images_dir / record.image_path) for record in plan.records[start:stop]]
                end = temporary.stat().st_size
                writer.write_table(_photos_table(plan.records[start:stop], photos))
                places += _find_photos(temporary, photos, end)
            writer.add_key_value_metadata({_PLACES: _pack(places)})
        size, digest = temporary.stat().st_size, sha256_file(temporary)
    return ShardFile(plan.name, plan.split, len(plan.records), size, digest, plan.fingerprint)


def _find_photos(path: Path, photos: Sequence[bytes], start: int) -> list[tuple[int, int, int]]:
    """Return (first byte, size, xxh3) of each photo in the file's part from `start` on, where they lie in order."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    places: list[tuple[int, int, int]] = []
    at = 0
    for photo in photos:
        at = data.find(photo, at)
        assert at >= 0, "pyarrow did not write the photos as they are"
        places.append((start + at, len(photo), xxhash.xxh3_64_intdigest(photo)))
        at += len(photo)
    return places


def _photos_table(records: Sequence[Record], photos: Sequence[bytes]) -> Any:
    import pyarrow

    columns: dict[str, list[Any]] = {
        "image": [{"bytes": photo, "path": record.image_path} for photo, record in zip(photos, records, strict=True)],
        "image_sha256": [hashlib.sha256(photo).hexdigest() for photo in photos],
    }
    rows = [to_row(record, keep_empty=True) for record in records]
    for name in _field_names():
        values = [row[name] for row in rows]
        if name in JSON_FIELDS:
            values = [json.dumps(value, ensure_ascii=False) if value else None for value in values]
        columns[name] = values
    return pyarrow.table(columns, schema=_photos_schema())


def _record_columns(path: Path) -> Any:
    """Return the rows of a finished file for `records.parquet`: all but the photos, and where these lie."""
    import pyarrow

    parquet = pyarrow_parquet()
    schema = _records_schema()
    names = [name for name in schema.names if name not in PLACE_FIELDS[1:]]
    with open_stored(path) as source, parquet.ParquetFile(source) as file:
        table = file.read(columns=names)
        places = _unpack(file.metadata.metadata[_PLACES.encode()])
    for name, values in zip(PLACE_FIELDS[1:], places, strict=True):
        table = table.append_column(name, pyarrow.array(values, schema.field(name).type))
    return table.select(schema.names)


def _pack(places: Sequence[tuple[int, int, int]]) -> str:
    return base64.b64encode(np.array(places, dtype="<u8").tobytes()).decode()  # readers expect UTF-8 there


def _unpack(packed: bytes) -> NDArray[np.uint64]:
    """Return (3, N): first byte, size and xxh3 of each photo."""
    return np.frombuffer(base64.b64decode(packed), dtype="<u8").reshape(-1, 3).T


def _read(path: Path) -> bytes:
    try:
        return read_stored(path)
    except OSError as error:
        raise _missing(path, error) from error


# ---- schema ---------------------------------------------------------------------------------------------------------


def _field_names() -> list[str]:
    return [spec.name for spec in dataclasses.fields(Record) if spec.name != "shard_row"]


def _photos_schema() -> Any:
    """Return the schema of a file of photos, with the features that Hugging Face `datasets` looks for."""
    import pyarrow

    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    features: dict[str, Any] = {"image": {"_type": "Image"}, "image_sha256": _STRING}
    fields = [pyarrow.field("image", image), pyarrow.field("image_sha256", pyarrow.string())]
    for name in _field_names():
        kind = pyarrow.string()
        features[name] = _STRING
        if name in _LISTS or name in _SIZES:
            inner = "string" if name in _LISTS else "int32"
            kind = pyarrow.list_(pyarrow.field("element", pyarrow.type_for_alias(inner)))
            features[name] = {"feature": {"dtype": inner, "_type": "Value"}, "_type": "Sequence"}
        fields.append(pyarrow.field(name, kind))
    return pyarrow.schema(fields, metadata={_HUGGINGFACE: json.dumps({"info": {"features": features}})})


def _records_schema() -> Any:
    import pyarrow

    fields = [field for field in _photos_schema() if field.name != "image"]
    kinds = (pyarrow.int64(), pyarrow.int32(), pyarrow.uint64())
    places = [pyarrow.field(name, kind) for name, kind in zip(PLACE_FIELDS[1:], kinds, strict=True)]
    return pyarrow.schema([*fields, *places])


def _photos_style() -> dict[str, Any]:
    """Photos as they are, each in one piece; texts compressed."""
    names = [*_field_names(), "image_sha256"]
    return {
        "compression": {"image.bytes": "none", "image.path": "zstd", **_leaves(names, "zstd")},
        "use_dictionary": [name for name in _field_names() if name not in (*_LISTS, *_SIZES)],
        "write_statistics": ["label", "split", "class_id"],
        "write_page_checksum": True,
    }


def _records_style() -> dict[str, Any]:
    return {
        "compression": "zstd",
        "dictionary_pagesize_limit": _DICTIONARY_BYTES,
        "write_page_checksum": True,
        "store_schema": False,
    }


def _leaves(names: Sequence[str], value: str) -> dict[str, str]:
    return {f"{name}.list.element" if name in (*_LISTS, *_SIZES) else name: value for name in names}


def _index_bytes(files: Sequence[ShardFile], classes: tuple[str, ...], source: str, digest: str) -> bytes:
    index = ShardIndex(
        files=tuple(files),
        classes=classes,
        source=source,
        records_sha256=digest,
        num_photos=sum(file.rows for file in files),
    )
    return (json.dumps(dataclasses.asdict(index), ensure_ascii=False, indent=2) + "\n").encode()


def _missing(path: Path, error: OSError) -> DataError:
    why = error.strerror or str(error)
    return DataError(
        tr(f"{url_of(path)} cannot be read: {why}", f"{url_of(path)} ne peut pas être lu : {why}"),
        tr(
            "bring the photo back, or make the manifest anew: plantset clean, plantset map",
            "remettez la photo, ou refaites le manifeste : plantset clean, plantset map",
        ),
    )
