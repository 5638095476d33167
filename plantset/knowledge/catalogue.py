"""Load the catalogue: one YAML file per crop in `catalogue/`, `any.yaml` for what is bound to no crop.

`healthy.yaml` holds what every crop's healthy state shares; a crop's file only describes its healthy leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from plantset.core.errors import DataError
from plantset.core.files import read_text
from plantset.core.language import LANGUAGES, tr
from plantset.knowledge.schema import ANY_CROP, HEALTHY, KINDS, Catalogue, Crop, Disease, LocalText

_TEXT_FIELDS = ("symptoms", "management", "confused")
_DISEASE_FIELDS = {"en", "fr", "also", "alone", "agents", "kind", "hosts", *_TEXT_FIELDS}


@cache
def load_catalogue() -> Catalogue:
    """Return the built-in catalogue.

    Raises:
        DataError: an entry lacks a field, has an unknown one or names a crop that is not there.
    """
    return read_catalogue(Path(str(resources.files("plantset.knowledge") / "catalogue")))


def read_catalogue(folder: Path) -> Catalogue:
    """Read every `*.yaml` of a folder into one catalogue.

    Raises:
        DataError: a file is not YAML, or an entry is wrong; file and entry named.
    """
    healthy = _read_yaml(folder / "healthy.yaml")
    crops: dict[str, Crop] = {}
    diseases: dict[str, Disease] = {}
    symbols: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == "healthy.yaml":
            continue
        content = _read_yaml(path)
        crop_id = path.stem
        if crop_id == ANY_CROP:
            symbols = {symbol: f"{ANY_CROP}--{slug}" for symbol, slug in content["symbols"].items()}
        else:
            crops[crop_id] = _crop(path, crop_id, content["crop"])
            diseases[f"{crop_id}--{HEALTHY}"] = _healthy(path, crop_id, content["healthy"], healthy)
        for slug, row in content["diseases"].items():
            diseases[f"{crop_id}--{slug}"] = _disease(path, crop_id, slug, row)
    catalogue = Catalogue(crops, dict(sorted(diseases.items())), symbols)
    _check_references(folder, catalogue)
    return catalogue


def _crop(path: Path, crop_id: str, row: Mapping[str, Any]) -> Crop:
    _need(path, "crop", row, ("en", "fr", "gender", "scientific"))
    return Crop(
        crop_id=crop_id,
        name={language: row[language] for language in LANGUAGES},
        fr_gender=row["gender"],
        scientific=row["scientific"],
        fr_plural=bool(row.get("plural", False)),
        also=tuple(row.get("also", ())),
    )


def _disease(path: Path, crop_id: str, slug: str, row: Mapping[str, Any]) -> Disease:
    _need(path, slug, row, ("en", "fr", "kind", *_TEXT_FIELDS))
    unknown = sorted(set(row) - _DISEASE_FIELDS)
    if unknown:
        raise _wrong(path, slug, tr(f"unknown field {unknown[0]}", f"champ inconnu {unknown[0]}"))
    if row["kind"] not in KINDS:
        raise _wrong(path, slug, tr(f"kind is {row['kind']}", f"kind vaut {row['kind']}"))
    return Disease(
        disease_id=f"{crop_id}--{slug}",
        crop_id=crop_id,
        name={language: row[language] for language in LANGUAGES},
        kind=row["kind"],
        text={language: _local_text(path, slug, row, language) for language in LANGUAGES},
        also=tuple(row.get("also", ())),
        alone=tuple(row.get("alone", ())),
        agents=tuple(row.get("agents", ())),
        hosts=tuple(row.get("hosts", ())),
    )


def _healthy(path: Path, crop_id: str, leaf: Mapping[str, Sequence[str]], common: Mapping[str, Any]) -> Disease:
    row = {**common, "symptoms": leaf, "kind": HEALTHY}
    return _disease(path, crop_id, HEALTHY, row)


def _local_text(path: Path, slug: str, row: Mapping[str, Any], language: str) -> LocalText:
    parts = {name: tuple(row[name].get(language, ())) for name in _TEXT_FIELDS}
    for name, sentences in parts.items():
        if not sentences or not all(isinstance(sentence, str) and sentence.strip() for sentence in sentences):
            raise _wrong(path, slug, tr(f"{name} has no text in {language}", f"{name} est vide en {language}"))
    return LocalText(parts["symptoms"], parts["management"], parts["confused"])


def _check_references(folder: Path, catalogue: Catalogue) -> None:
    for disease in catalogue.diseases.values():
        for host in disease.hosts:
            if host not in catalogue.crops:
                path = folder / f"{disease.crop_id}.yaml"
                raise _wrong(path, disease.disease_id, tr(f"unknown host {host}", f"hôte inconnu {host}"))
    for disease_id in catalogue.symbols.values():
        if disease_id not in catalogue.diseases:
            raise _wrong(folder / "any.yaml", disease_id, tr("a symbol without entry", "un symbole sans fiche"))


def _need(path: Path, slug: str, row: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if not row.get(name):
            raise _wrong(path, slug, tr(f"'{name}' is missing", f"« {name} » manque"))


def _wrong(path: Path, slug: str, why: str) -> DataError:
    return DataError(
        tr(f"{path.name}, entry {slug}: {why}", f"{path.name}, fiche {slug} : {why}"),
        tr("mend the catalogue file", "corrigez le fichier du catalogue"),
    )


def _read_yaml(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise DataError(
            tr(f"{path.name} is not valid YAML: {error}", f"{path.name} n'est pas du YAML valide : {error}"),
            tr("mend the file there", "corrigez le fichier à cet endroit"),
        ) from error
    if not isinstance(content, dict):
        raise DataError(
            tr(f"{path.name} is not a mapping", f"{path.name} n'est pas un dictionnaire"),
            tr("give it the keys crop, healthy and diseases", "donnez-lui les clés crop, healthy et diseases"),
        )
    return content
