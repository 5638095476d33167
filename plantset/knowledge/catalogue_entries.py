"""From one row of a catalogue file to one `Disease` or `Crop`, with all that is wrong with the row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from plantset.core.language import LANGUAGES, tr
from plantset.knowledge.schema import (
    HEALTHY,
    KINDS,
    MEASURES,
    ORGANS,
    Crop,
    Disease,
    Kind,
    LocalText,
    LookAlike,
    Measure,
    Organ,
)

# Said once, for every entry whose chemical measures are given; sentences in the files need not repeat it.
LABEL_LINE = {
    "en": "With any product, follow the label and the local law.",
    "fr": "Avec tout produit, respectez l'étiquette et la loi locale.",
}
_LABEL_SAID = re.compile(r"\b(?:label|étiquette)\b")
_NO_PRODUCT_KINDS = frozenset({HEALTHY, "abiotic"})
_LANGUAGE_TAG = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")
_EPPO = re.compile(r"[A-Z0-9]{5,6}")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TEXT_FIELDS = ("symptoms", "conditions", "management", "confused")
_LIST_FIELDS = ("also", "alone", "agents", "hosts", "sources", "unverified")
_FIELDS = frozenset({"kind", "eppo", *_TEXT_FIELDS, *_LIST_FIELDS})
_CROP_FIELDS = frozenset({"gender", "plural", "scientific", "also", "eppo"})

_Sentences = dict[str, tuple[str, ...]]


@dataclass
class _Reader:
    """Reads values of any shape, and notes what is wrong with them instead of stopping."""

    problems: list[str] = field(default_factory=list)

    def wrong(self, en: str, fr: str) -> None:
        self.problems.append(tr(en, fr))

    def texts(self, value: Any, where: str) -> tuple[str, ...]:
        """Return a list of texts; a lone text is a list of one."""
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not values:
            self.wrong(f"{where} is empty or no list", f"{where} est vide ou n'est pas une liste")
            return ()
        for item in values:
            if not isinstance(item, str) or not item.strip():
                said = str(item)[:60]
                self.wrong(
                    f"{where}: {said} is not a text (quote a sentence that has a colon)",
                    f"{where} : {said} n'est pas un texte (mettez entre guillemets une phrase à deux-points)",
                )
        return tuple(item.strip() for item in values if isinstance(item, str) and item.strip())

    def mapping(self, value: Any, where: str) -> Mapping[str, Any]:
        if isinstance(value, Mapping) and value:
            return value
        self.wrong(f"{where} is empty or no mapping", f"{where} est vide ou n'est pas un dictionnaire")
        return {}

    def sentences(self, value: Any, where: str) -> _Sentences:
        """Return language -> sentences; French and English must be there."""
        said = self.mapping(value, where)
        for tag in said:
            if not is_language_tag(tag):
                self.wrong(f"{where}: {tag} is no language", f"{where} : {tag} n'est pas une langue")
        for language in LANGUAGES:
            if said and language not in said:
                self.wrong(f"{where} has no text in {language}", f"{where} est vide en {language}")
        return {tag: self.texts(texts, f"{where}.{tag}") for tag, texts in said.items() if is_language_tag(tag)}

    def names(self, row: Mapping[str, Any], known: frozenset[str]) -> dict[str, str]:
        """Return language -> name: the fields of the row that are language tags."""
        names: dict[str, str] = {}
        for key, value in row.items():
            if key in known:
                continue
            if not is_language_tag(key):
                self.wrong(f"unknown field {key}", f"champ inconnu {key}")
            elif not isinstance(value, str) or not value.strip():
                self.wrong(f"{key} is not a name", f"{key} n'est pas un nom")
            else:
                names[key] = value
        for language in LANGUAGES:
            if not names.get(language):
                self.wrong(f"'{language}' is missing", f"« {language} » manque")
        return names


def is_language_tag(tag: object) -> bool:
    """Return whether this may be a BCP-47 tag with a language of two or three letters: fr, wo, pt-BR."""
    return isinstance(tag, str) and _LANGUAGE_TAG.fullmatch(tag) is not None


def read_crop(crop_id: str, row: Any) -> tuple[Crop, list[str]]:
    """Return the crop of a file's header, and what is wrong with it."""
    reader = _Reader()
    row = reader.mapping(row, "crop")
    names = reader.names(row, _CROP_FIELDS)
    if row.get("gender") not in ("f", "m"):
        reader.wrong("crop: gender is f or m", "crop : gender vaut f ou m")
    if not row.get("scientific"):
        reader.wrong("crop: 'scientific' is missing", "crop : « scientific » manque")
    crop = Crop(
        crop_id=crop_id,
        name=names,
        fr_gender="m" if row.get("gender") == "m" else "f",
        scientific=str(row.get("scientific", "")),
        fr_plural=bool(row.get("plural", False)),
        also=reader.texts(row["also"], "also") if row.get("also") else (),
    )
    return crop, reader.problems


def read_disease(crop_id: str, slug: str, row: Any) -> tuple[Disease, list[str]]:
    """Return the identity of a row, and what is wrong with it; where something is wrong it is only part of one."""
    reader = _Reader()
    row = reader.mapping(row, slug)
    if not _SLUG.fullmatch(slug):
        reader.wrong(f"{slug} is not kebab-case", f"{slug} n'est pas en minuscules et tirets")
    kind = row.get("kind")
    if kind not in KINDS:
        reader.wrong(f"kind is {kind}, known: {', '.join(KINDS)}", f"kind vaut {kind}, connus : {', '.join(KINDS)}")
        kind = "complex"
    lists = {name: reader.texts(row[name], name) for name in _LIST_FIELDS if row.get(name)}
    for name in _missing_parts(row, str(kind)):
        reader.wrong(f"'{name}' is missing", f"« {name} » manque")
    disease = Disease(
        disease_id=f"{crop_id}--{slug}",
        crop_id=crop_id,
        name=reader.names(row, _FIELDS),
        kind=cast("Kind", kind),
        text=_texts(reader, row, str(kind)),
        also=lists.get("also", ()),
        alone=lists.get("alone", ()),
        agents=lists.get("agents", ()),
        hosts=lists.get("hosts", ()),
        eppo=_eppo(reader, row),
        sources=lists.get("sources", ()),
        unverified=lists.get("unverified", ()),
    )
    return disease, reader.problems


def _missing_parts(row: Mapping[str, Any], kind: str) -> list[str]:
    wanted = ["symptoms", "management", "confused"]
    if kind == HEALTHY:
        return [name for name in wanted if not row.get(name)]
    missing = [name for name in (*wanted, "conditions") if not row.get(name)]
    return missing if "unverified" in row else [*missing, "unverified"]


def _eppo(reader: _Reader, row: Mapping[str, Any]) -> tuple[str, ...]:
    codes = reader.texts(row["eppo"], "eppo") if row.get("eppo") else ()
    for code in codes:
        if not _EPPO.fullmatch(code):
            reader.wrong(
                f"eppo {code} is not 5 or 6 capital letters or digits",
                f"eppo {code} n'est pas fait de 5 ou 6 majuscules ou chiffres",
            )
    return codes


def _texts(reader: _Reader, row: Mapping[str, Any], kind: str) -> dict[str, LocalText]:
    organs = _organs(reader, row.get("symptoms"))
    conditions = reader.sentences(row["conditions"], "conditions") if row.get("conditions") else {}
    measures = _measures(reader, row.get("management"), kind)
    look_alikes = _look_alikes(reader, row.get("confused"), kind)
    parts = [*organs.values(), conditions, *measures.values(), *(said for _, said in look_alikes)]
    return {
        tag: LocalText(
            organs={organ: said[tag] for organ, said in organs.items() if said.get(tag)},
            conditions=conditions.get(tag, ()),
            measures={measure: said[tag] for measure, said in measures.items() if said.get(tag)},
            look_alikes=tuple(LookAlike(found, said[tag]) for found, said in look_alikes if said.get(tag)),
        )
        for tag in sorted({*LANGUAGES, *(tag for said in parts for tag in said)})
    }


def _organs(reader: _Reader, value: Any) -> dict[Organ, _Sentences]:
    if not value:
        return {}
    said = reader.mapping(value, "symptoms")
    for organ in said:
        if organ not in ORGANS:
            known = ", ".join(ORGANS)
            reader.wrong(
                f"symptoms: unknown organ {organ} (known: {known})",
                f"symptoms : organe inconnu {organ} (connus : {known})",
            )
    organs = [organ for organ in said if organ in ORGANS]
    organs.sort(key=lambda organ: organ != "leaf")
    return {organ: reader.sentences(said[organ], f"symptoms.{organ}") for organ in organs}


def _measures(reader: _Reader, value: Any, kind: str) -> dict[Measure, _Sentences]:
    if not value:
        return {}
    said = reader.mapping(value, "management")
    for measure in said:
        if measure not in MEASURES:
            reader.wrong(f"management: unknown part {measure}", f"management : partie inconnue {measure}")
    for measure in MEASURES:
        if kind != HEALTHY and not said.get(measure):
            reader.wrong(f"'management.{measure}' is missing", f"« management.{measure} » manque")
    found: dict[Measure, _Sentences] = {
        measure: reader.sentences(said[measure], f"management.{measure}") for measure in MEASURES if measure in said
    }
    if "chemical" in found and kind not in _NO_PRODUCT_KINDS:
        found["chemical"] = {tag: _with_label_line(tag, texts) for tag, texts in found["chemical"].items()}
    return found


def _with_label_line(tag: str, sentences: tuple[str, ...]) -> tuple[str, ...]:
    said = any(_LABEL_SAID.search(sentence.lower()) for sentence in sentences)
    return sentences if said or tag not in LABEL_LINE else (*sentences, LABEL_LINE[tag])


def _look_alikes(reader: _Reader, value: Any, kind: str) -> list[tuple[str, _Sentences]]:
    if not value:
        return []
    if isinstance(value, Mapping) and kind == HEALTHY:
        return [("", reader.sentences(value, "confused"))]
    if not isinstance(value, list):
        reader.wrong("confused is not a list of {with, en, fr}", "confused n'est pas une liste de {with, en, fr}")
        return []
    found: list[tuple[str, _Sentences]] = []
    for item in value:
        row = reader.mapping(item, "confused")
        disease_id = row.get("with")
        if not isinstance(disease_id, str) or "--" not in disease_id:
            reader.wrong(
                f"confused: with is {disease_id}, expected an id such as tomato--early-blight",
                f"confused : with vaut {disease_id}, attendu : un identifiant comme tomato--early-blight",
            )
            disease_id = ""
        found.append((disease_id, reader.sentences({k: v for k, v in row.items() if k != "with"}, "confused")))
    return found
