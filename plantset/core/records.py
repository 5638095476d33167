"""The JSON-lines contracts between the stages: what `clean` writes, `map` enriches and everything after reads.

A manifest `NAME.jsonl` has a sidecar `NAME.meta.json` (`ManifestMeta`). What `clean` dropped stands in
`NAME.rejected.jsonl` (`RejectedRecord`): kept + rejected = files found.
"""

from __future__ import annotations

import dataclasses
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from plantset.core.compact import shares_all_but
from plantset.core.errors import DataError
from plantset.core.files import read_json, read_json_lines, write_json, write_json_lines
from plantset.core.language import tr
from plantset.core.record_rows import FieldMismatchError, RowReader

SCHEMA_VERSION = 1
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, slots=True)
class CleanRecord:
    """One kept photo.

    Attributes:
        image_path: POSIX, relative to the images folder.
        label: the class as the user's folder or table names it, untouched.
        split: train, val or test.
        original_size: (width, height) in pixels after EXIF orientation, before resizing.
        size: (width, height) of the written image.
        sha256: of the source file's bytes, 64 hex digits.
        phash: 64-bit perceptual hash, 16 hex digits.
        group: photos of one leaf, or copies of one photo; never spread over two splits.
        source_path: POSIX, relative to the source folder.
        issues: names of the checks that the photo failed but survived, sorted.
        style: "lab", "field" or whatever the user's table says; absent when unknown.
        source: the collection the photo comes from, when the user's table says it.
        group_rules: why it is in its group: same-bytes, same-pixels, near-copy, file-name, series, burst, same-leaf,
            table; empty for a photo alone.
        copy_of: source path of the best photo among its near copies; absent for that one.
        taken_at: when the camera says the photo was taken, ISO 8601 without a zone; only with `--keep-time`.
        reviewed: what a person decided (`--corrections`): "keep" or "relabel"; absent where nobody did.
        label_before: the label before a person changed it.
    """

    image_path: str
    label: str
    split: Split
    original_size: tuple[int, int]
    size: tuple[int, int]
    sha256: str
    phash: str
    group: str
    source_path: str
    issues: tuple[str, ...] = ()
    style: str | None = None
    source: str | None = None
    taken_at: str | None = None
    group_rules: tuple[str, ...] = ()
    copy_of: str | None = None
    reviewed: str | None = None
    label_before: str | None = None


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """One file that was found and not kept: `reason` is a stable English code, `detail` says more."""

    source_path: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Texts:
    """What is said of a disease in one language; any part may be empty.

    Attributes:
        organs: the organ of each symptom sentence, as many as symptoms; empty where unknown.
        conditions: what favours the disease.
        confused_with: how to tell it from what resembles it.
    """

    description: str = ""
    symptoms: tuple[str, ...] = ()
    management: tuple[str, ...] = ()
    organs: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    confused_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """How a label found its disease: `how` names the rule, `score` is its certainty in 0..1."""

    how: str
    score: float


@shares_all_but(
    "image_path", "split", "text", "texts", "original_size", "size", "sha256", "phash", "group", "source_path",
    "issues", "taken_at", "group_rules", "copy_of", "shard_row",
)  # fmt: skip
@dataclass(frozen=True)
class Record:
    """One photo with its class and its texts, as training, evaluation and inference read it.

    The first four fields are all that a reader needs; the rest are what `clean` and `map` know.

    Attributes:
        class_id: the class everywhere after `map`: `disease_id`, else `user--<slug of label>`.
        text: the caption target, in `language`. Never an input of the classifier.
        texts: language tag -> what is said of the disease.
        text_source: field name -> "user", "catalogue" or "photo".
        mask_terms: names and synonyms, both languages, that notes must not contain.
        shard_row: where its photo lies in shards (`core.shards`), over all their files; absent where it is a file.
    """

    image_path: str
    label: str
    split: Split
    text: str = ""
    class_id: str = ""
    disease_id: str | None = None
    crop: str | None = None
    disease: str | None = None
    agent: str | None = None
    kind: str | None = None
    texts: Mapping[str, Texts] = field(default_factory=dict)
    text_source: Mapping[str, str] = field(default_factory=dict)
    language: str = "fr"
    mask_terms: tuple[str, ...] = ()
    match: Match | None = None
    original_size: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    sha256: str | None = None
    phash: str | None = None
    group: str | None = None
    source_path: str | None = None
    issues: tuple[str, ...] = ()
    style: str | None = None
    source: str | None = None
    taken_at: str | None = None
    group_rules: tuple[str, ...] = ()
    copy_of: str | None = None
    reviewed: str | None = None
    label_before: str | None = None
    shard_row: int | None = None


@dataclass(frozen=True, slots=True)
class ManifestMeta:
    """What stands beside a manifest.

    Attributes:
        images_dir: folder of the images: absolute, or relative to the manifest's own folder.
        classes: class ids (labels before `map`) in index order: sorted over all splits.
        seed: of the split.
        command: the command line that wrote the manifest.
        counts: whatever the stage counted (found, kept, rejected, …).
    """

    images_dir: str
    classes: tuple[str, ...]
    seed: int
    command: str
    schema_version: int = SCHEMA_VERSION
    counts: Mapping[str, int] = field(default_factory=dict)


def slugify(name: str) -> str:
    """Return the name in ASCII kebab-case: `slugify("Mildiou  (tomate)")` is `"mildiou-tomate"`."""

    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")
    return slug or "-".join(f"{ord(character):x}" for character in name)


def meta_path(manifest_path: Path) -> Path:
    """Return `NAME.meta.json` for `NAME.jsonl`."""
    return manifest_path.with_name(manifest_path.name.removesuffix(".jsonl") + ".meta.json")


def rejected_path(manifest_path: Path) -> Path:
    """Return `NAME.rejected.jsonl` for `NAME.jsonl`."""
    return manifest_path.with_name(manifest_path.name.removesuffix(".jsonl") + ".rejected.jsonl")


def default_images_dir(manifest_path: Path) -> Path:
    """Return `NAME_images` for `NAME.jsonl`: where `clean` writes photos unless told otherwise."""
    return manifest_path.with_name(manifest_path.name.removesuffix(".jsonl") + "_images")


def write_manifest(path: Path, records: Iterable[CleanRecord | Record], meta: ManifestMeta) -> int:
    """Write `path` and its sidecar atomically; return how many records; fields without a value are left out."""
    count = write_json_lines(path, (to_row(record) for record in records))
    write_json(meta_path(path), to_row(meta, keep_empty=True))
    return count


def write_rejected(path: Path, rejected: Iterable[RejectedRecord]) -> int:
    """Write `NAME.rejected.jsonl` atomically and return how many lines."""
    return write_json_lines(path, (to_row(record, keep_empty=True) for record in rejected))


def read_clean_records(path: Path) -> list[CleanRecord]:
    """Read what `clean` wrote.

    Raises:
        DataError: absent, empty or with a wrong field; file, line and field named.
    """
    return _read_all(path, CleanRecord)


def read_rejected(path: Path) -> list[RejectedRecord]:
    """Read `NAME.rejected.jsonl`; it may be empty."""
    reader = _reader(path, RejectedRecord)
    return [reader.read(number, row) for number, row in read_json_lines(path)]


def read_records(path: Path) -> list[Record]:
    """Read what `map` wrote, or any file with at least image_path, label, split and text.

    A record without `class_id` gets `user--<slug of label>`.

    Raises:
        DataError: absent, empty or with a wrong field; file, line and field named.
    """
    return with_class_ids(_read_all(path, Record))


def record_reader(path: Path) -> RowReader[Record]:
    """Return what checks rows that stand for the lines of `path` and makes records of them."""
    return _reader(path, Record)


def with_class_ids(records: list[Record]) -> list[Record]:
    """Give each record without a `class_id` the one that its label makes; the list is changed and returned."""
    class_ids: dict[str, str] = {}
    for position, record in enumerate(records):
        if not record.class_id:
            class_id = class_ids.get(record.label) or f"user--{slugify(record.label)}"
            class_ids[record.label] = class_id
            records[position] = dataclasses.replace(record, class_id=class_id)
    return records


def read_meta(path: Path) -> ManifestMeta | None:
    """Read the sidecar of the manifest `path`; None where there is none (a manifest made by other means)."""
    sidecar = meta_path(path)
    if not sidecar.exists():
        return None
    meta = _reader(sidecar, ManifestMeta).read(1, read_json(sidecar))
    if meta.schema_version > SCHEMA_VERSION:
        raise DataError(
            tr(
                f"{sidecar} has schema version {meta.schema_version}; this plantset reads up to {SCHEMA_VERSION}",
                f"{sidecar} a la version de schéma {meta.schema_version} ; ce plantset lit jusqu'à {SCHEMA_VERSION}",
            ),
            tr("update plantset: pip install -U plantset", "mettez plantset à jour : pip install -U plantset"),
        )
    return meta


def class_names(records: Iterable[Record]) -> tuple[str, ...]:
    """Return the distinct class ids in index order: sorted, over all splits."""
    return tuple(sorted({record.class_id for record in records}))


def find_images_dir(manifest_path: Path, records: list[Record], root_dir: Path | None) -> Path:
    """Return the folder that `image_path` is relative to: `root_dir`, else the sidecar's, else the manifest's own.

    Raises:
        DataError: the first photo is not under it; when it is the source folder (only `source_path` is found
            there) the error names the right folder.
    """
    meta = read_meta(manifest_path)
    recorded = manifest_path.parent / meta.images_dir if meta else manifest_path.parent
    images_dir = root_dir if root_dir is not None else recorded
    first = records[0]
    if (images_dir / first.image_path).exists():
        return images_dir
    if first.source_path and (images_dir / first.source_path).exists():
        raise DataError(
            tr(
                f"{images_dir} holds the original photos, not the cleaned ones",
                f"{images_dir} contient les photos d'origine, pas les photos nettoyées",
            ),
            f"--root-dir {recorded}",
        )
    raise DataError(
        tr(f"no photo {first.image_path} under {images_dir}", f"aucune photo {first.image_path} sous {images_dir}"),
        tr(
            f"give the folder that holds it: --root-dir (the manifest says {recorded})",
            f"donnez le dossier qui la contient : --root-dir (le manifeste dit {recorded})",
        ),
    )


def to_row(record: Any, *, keep_empty: bool = False) -> dict[str, Any]:
    """Return the record as a JSON object; None and empty collections are left out unless `keep_empty`."""
    kind: Any = type(record)
    values = ((name, getattr(record, name)) for name in _field_names(kind))
    return {
        name: _plain(value) for name, value in values if keep_empty or name == "text" or value not in (None, (), {})
    }


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(spec.name for spec in dataclasses.fields(kind))


def _plain(value: Any) -> Any:
    """Return dataclasses and mappings as objects; tuples, whose items are plain in every record, stay as they are."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    kind: Any = type(value)
    return {name: _plain(getattr(value, name)) for name in _field_names(kind)}


_OF_ONE_CLASS = (
    "text", "class_id", "disease_id", "crop", "disease", "agent", "kind", "texts", "text_source", "language",
    "mask_terms", "match",
)  # fmt: skip
_OF_ONE_PHOTO = frozenset({"image_path", "source_path", "sha256", "phash", "taken_at", "copy_of"})

_RecordT = TypeVar("_RecordT", CleanRecord, RejectedRecord, Record, ManifestMeta)


def _reader(path: Path, kind: type[_RecordT]) -> RowReader[_RecordT]:
    named = ("text",) if kind is Record else ()
    return RowReader(path, kind, _convert, must_be_named=named, of_one_row=_OF_ONE_PHOTO)


def _read_all(path: Path, kind: type[_RecordT]) -> list[_RecordT]:
    reader = _reader(path, kind)
    records = [reader.read(number, row) for number, row in read_json_lines(path, repeated=_OF_ONE_CLASS)]
    if not records:
        raise DataError(
            tr(f"{path} has no record", f"{path} ne contient aucun enregistrement"),
            tr("make it anew: plantset clean, then plantset map", "refaites-le : plantset clean, puis plantset map"),
        )
    return records


def _convert(annotation: str, value: Any) -> Any:
    """Check one JSON value against the field's annotation and return it in the record's own type."""
    base = annotation.removesuffix(" | None")
    if base == "Split":
        _expect(value in SPLITS, value, "train, val or test", "train, val ou test")
        return value
    if base == "str":
        _expect(isinstance(value, str), value, "a text", "un texte")
        return value
    if base == "int":
        _expect(isinstance(value, int) and not isinstance(value, bool), value, "a whole number", "un nombre entier")
        return value
    if base == "tuple[int, int]":
        ok = isinstance(value, list) and len(value) == 2 and all(type(x) is int and x > 0 for x in value)
        _expect(ok, value, "[width, height] in pixels", "[largeur, hauteur] en pixels")
        return tuple(value)
    if base == "tuple[str, ...]":
        _expect(
            isinstance(value, list) and all(isinstance(x, str) for x in value),
            value,
            "a list of texts",
            "une liste de textes",
        )
        return tuple(value)
    _expect(isinstance(value, dict), value, "an object", "un objet")
    if base == "Match":
        _expect(
            isinstance(value.get("how"), str) and _is_number(value.get("score")),
            value,
            "{how, score}",
            "{how, score}",
        )
        return Match(value["how"], float(value["score"]))
    if base == "Mapping[str, Texts]":
        return {language: _convert_texts(texts) for language, texts in value.items()}
    inner_ok = all(isinstance(item, int if base == "Mapping[str, int]" else str) for item in value.values())
    _expect(inner_ok, value, base, base)
    return dict(value)


def _convert_texts(value: Any) -> Texts:
    _expect(
        isinstance(value, dict), value, "{description, symptoms, management}", "{description, symptoms, management}"
    )
    return Texts(
        description=_convert("str", value.get("description", "")),
        symptoms=_convert("tuple[str, ...]", value.get("symptoms", [])),
        management=_convert("tuple[str, ...]", value.get("management", [])),
        organs=_convert("tuple[str, ...]", value.get("organs", [])),
        conditions=_convert("tuple[str, ...]", value.get("conditions", [])),
        confused_with=_convert("tuple[str, ...]", value.get("confused_with", [])),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _expect(ok: bool, value: Any, en: str, fr: str) -> None:
    if not ok:
        shown = f'"{value}"' if isinstance(value, str) else str(value)[:80]
        raise FieldMismatchError(tr(f"is {shown}, expected {en}", f"vaut {shown}, attendu : {fr}"))


def iter_splits(records: Iterable[Record]) -> Iterator[tuple[Split, list[Record]]]:
    """Yield (split, its records) for each split that has any, in the order train, val, test."""
    by_split: dict[Split, list[Record]] = {split: [] for split in SPLITS}
    for record in records:
        by_split[record.split].append(record)
    yield from ((split, rows) for split, rows in by_split.items() if rows)
