"""The catalogue's files as they are written: one YAML file per crop, read as rows, and laid over one another.

`any.yaml` holds what is bound to no crop, `healthy.yaml` what every crop's healthy state shares. A user's own folder
has the same form; it may hold a single crop, and of a known crop only what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from plantset.core.errors import DataError
from plantset.core.files import read_text
from plantset.core.language import tr
from plantset.knowledge.schema import ANY_CROP, HEALTHY, ORGANS

HEALTHY_FILE = "healthy.yaml"
_FILE_KEYS = frozenset({"crop", "healthy", "diseases", "symbols"})
# Where two files both say something of one identity, these lists are joined and nothing contradicts.
_JOINED_FIELDS = frozenset({"also", "alone", "sources"})


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One entry as its file has it."""

    path: Path
    slug: str
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RawCatalogue:
    """All entries of some files, not yet checked.

    Attributes:
        crops: crop id -> its header.
        entries: identity -> its row; a healthy state's row is complete.
        symbols: chemical symbol -> identity.
        healthy: what every healthy state shares.
        unread: (file, problem) of each file that is no catalogue file.
    """

    crops: Mapping[str, RawEntry] = field(default_factory=dict)
    entries: Mapping[str, RawEntry] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)
    healthy: Mapping[str, Any] = field(default_factory=dict)
    unread: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two files that say different things of one identity, in `part` ("symptoms.leaf.fr")."""

    disease_id: str
    part: str
    first: Path
    second: Path

    def __str__(self) -> str:
        return tr(
            f"{self.disease_id}, {self.part}: {self.first} and {self.second} differ",
            f"{self.disease_id}, {self.part} : {self.first} et {self.second} diffèrent",
        )


def catalogue_paths(places: Iterable[Path]) -> list[Path]:
    """Return the YAML files of folders and the files that are named, sorted.

    Raises:
        DataError: a place does not exist, or a folder holds no `*.yaml`.
    """
    paths: list[Path] = []
    for place in places:
        found = sorted([*place.glob("*.yaml"), *place.glob("*.yml")]) if place.is_dir() else [place]
        if not found or not place.exists():
            raise DataError(
                tr(f"no catalogue file at {place}", f"aucun fichier de catalogue à {place}"),
                tr("give a folder of CROP.yaml files, or such a file", "donnez un dossier de fichiers CULTURE.yaml"),
            )
        paths += found
    return paths


def read_raw(paths: Iterable[Path], healthy: Mapping[str, Any] | None = None) -> RawCatalogue:
    """Read catalogue files; one that cannot be read is listed in `unread`.

    Args:
        healthy: what healthy states share, where no `healthy.yaml` is among the files.
    """
    contents: dict[Path, Mapping[str, Any]] = {}
    unread: list[tuple[Path, str]] = []
    for path in paths:
        try:
            contents[path] = _read_yaml(path)
        except DataError as error:
            unread.append((path, error.problem))
    common = next((content for path, content in contents.items() if path.name == HEALTHY_FILE), healthy or {})
    crops: dict[str, RawEntry] = {}
    entries: dict[str, RawEntry] = {}
    symbols: dict[str, str] = {}
    for path, content in contents.items():
        if path.name == HEALTHY_FILE:
            continue
        why = _shape_problem(path, content)
        if why:
            unread.append((path, why))
            continue
        crop_id = path.stem
        symbols |= {symbol: f"{ANY_CROP}--{slug}" for symbol, slug in (content.get("symbols") or {}).items()}
        if content.get("crop"):
            crops[crop_id] = RawEntry(path, "crop", content["crop"])
        if content.get("healthy"):
            row = _healthy_row(content["healthy"], common)
            entries[f"{crop_id}--{HEALTHY}"] = RawEntry(path, HEALTHY, row)
        for slug, row in (content.get("diseases") or {}).items():
            entries[f"{crop_id}--{slug}"] = RawEntry(path, str(slug), row)
    return RawCatalogue(crops, entries, symbols, common, tuple(unread))


def lay_over(base: RawCatalogue, extra: RawCatalogue, *, override: bool) -> tuple[RawCatalogue, list[Conflict]]:
    """Add the entries of `extra` to those of `base`: new identities, new languages, new names.

    Args:
        override: where the two differ, `extra` is right; otherwise `base` stands and the difference is a conflict.
    """
    conflicts: list[Conflict] = []
    entries = dict(base.entries)
    for disease_id, entry in extra.entries.items():
        known = entries.get(disease_id)
        if known is None:
            entries[disease_id] = entry
            continue
        row, differing = _merge(known.row, entry.row, override=override)
        conflicts += [Conflict(disease_id, part, known.path, entry.path) for part in differing]
        entries[disease_id] = RawEntry(entry.path, entry.slug, row)
    crops = dict(base.crops)
    for crop_id, entry in extra.crops.items():
        known = crops.get(crop_id)
        row, differing = _merge(known.row, entry.row, override=override) if known else (entry.row, [])
        conflicts += [Conflict(crop_id, part, known.path, entry.path) for part in differing if known]
        crops[crop_id] = RawEntry(entry.path, entry.slug, row)
    merged = replace(
        base,
        crops=crops,
        entries=entries,
        symbols={**base.symbols, **extra.symbols},
        unread=(*base.unread, *extra.unread),
    )
    return merged, conflicts


def _merge(known: Any, said: Any, *, override: bool, part: str = "") -> tuple[Any, list[str]]:
    """Return both together, and the parts in which they contradict each other (none where `override`)."""
    name = part.rpartition(".")[2]
    if isinstance(known, Mapping) and isinstance(said, Mapping):
        merged = dict(known)
        differing: list[str] = []
        for key, value in said.items():
            below = f"{part}.{key}".strip(".")
            if key in merged:
                merged[key], more = _merge(merged[key], value, override=override, part=below)
                differing += more
            else:
                merged[key] = value
        return merged, differing
    if name in _JOINED_FIELDS and isinstance(known, list) and isinstance(said, list):
        return [*known, *(value for value in said if value not in known)], []
    if known == said:
        return known, []
    return (said, []) if override else (known, [part])


def _healthy_row(leaf: Any, common: Mapping[str, Any]) -> dict[str, Any]:
    """Return a healthy state's whole row; its own file describes the leaf, or several organs."""
    by_organ = isinstance(leaf, Mapping) and bool(set(leaf) & set(ORGANS))
    return {**common, "symptoms": leaf if by_organ else {"leaf": leaf}, "kind": HEALTHY}


def _shape_problem(path: Path, content: Mapping[str, Any]) -> str:
    """Return why the file is no catalogue file, or ""."""
    unknown = sorted(map(str, set(content) - _FILE_KEYS))
    if unknown:
        keys = ", ".join(sorted(_FILE_KEYS))
        return tr(
            f"{path.name}: unknown key {unknown[0]} (known: {keys})",
            f"{path.name} : clé inconnue {unknown[0]} (connues : {keys})",
        )
    for key in ("crop", "healthy", "diseases", "symbols"):
        if not isinstance(content.get(key) or {}, Mapping):
            return tr(f"{path.name}: {key} is not a mapping", f"{path.name} : {key} n'est pas un dictionnaire")
    return ""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # whichever of the two is there
    """The safe loader, except that a key written twice is an error: YAML would keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands twice", key_node.start_mark)
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _read_yaml(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise DataError(
            tr(f"{path.name} is not valid YAML: {said}", f"{path.name} n'est pas du YAML valide : {said}"),
            tr("mend the file there", "corrigez le fichier à cet endroit"),
        ) from error
    if not isinstance(content, dict):
        raise DataError(
            tr(f"{path.name} is not a mapping", f"{path.name} n'est pas un dictionnaire"),
            tr("give it the keys crop, healthy and diseases", "donnez-lui les clés crop, healthy et diseases"),
        )
    return content
