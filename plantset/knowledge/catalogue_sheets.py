"""The catalogue for people and for other programs: a readable sheet, and tables of every entry."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from plantset.core.errors import ConfigError
from plantset.core.files import write_bytes, write_text
from plantset.core.language import tr
from plantset.knowledge.masking import fold
from plantset.knowledge.render import Sheet, capitalise, headline, language_of
from plantset.knowledge.schema import MEASURES, ORGANS, Catalogue, Disease, LocalText

EXPORT_SUFFIXES = (".csv", ".json", ".yaml")
_WORDS = {
    "fr": {
        "leaf": "Feuille",
        "stem": "Tige",
        "root": "Racine",
        "flower": "Fleur",
        "fruit": "Fruit",
        "grain": "Grain",
        "tuber": "Tubercule",
        "plant": "Plante entière",
        "pest": "Ravageur",
        "cultural": "Gestes de culture",
        "biological": "Lutte biologique",
        "chemical": "Lutte chimique",
        "conditions": "Ce qui favorise",
        "confused": "À ne pas confondre",
        "agent": "Cause",
        "also": "Autres noms",
        "hosts": "Cultures",
        "sources": "Sources",
        "unverified": "Écrit sans source lue",
        "colon": " : ",
    },
    "en": {
        "leaf": "Leaf",
        "stem": "Stem",
        "root": "Root",
        "flower": "Flower",
        "fruit": "Fruit",
        "grain": "Grain",
        "tuber": "Tuber",
        "plant": "Whole plant",
        "pest": "Pest",
        "cultural": "Growing measures",
        "biological": "Biological control",
        "chemical": "Chemical control",
        "conditions": "What favours it",
        "confused": "Not to be confused",
        "agent": "Cause",
        "also": "Other names",
        "hosts": "Crops",
        "sources": "Sources",
        "unverified": "Written without a source",
        "colon": ": ",
    },
}


def readable_sheet(disease: Disease, catalogue: Catalogue, language: str) -> str:
    """Return all that the catalogue says of one identity, as lines for a terminal."""
    tag = language_of(disease.text, language)
    words = _WORDS["en" if tag == "en" else "fr"]
    colon = words["colon"]
    title = f"{capitalise(_title(disease, catalogue, tag))}   [{disease.disease_id}]"
    lines = [title, "=" * len(title)]
    facts = [
        ("agent", ", ".join(disease.agents) + (f" ({', '.join(disease.eppo)})" if disease.eppo else "")),
        ("also", ", ".join(disease.also)),
        ("hosts", ", ".join(disease.hosts)),
    ]
    lines += [f"{words[name]}{colon}{said}" for name, said in facts if said]
    text = disease.text[tag]
    sections = [
        *((words[organ], text.organs.get(organ, ())) for organ in ORGANS),
        (words["conditions"], text.conditions),
        *((words[measure], text.measures.get(measure, ())) for measure in MEASURES),
    ]
    for name, sentences in sections:
        if sentences:
            lines += ["", name, *(f"  - {sentence}" for sentence in sentences)]
    lines += ["", words["confused"]] if text.look_alikes else []
    for look_alike in text.look_alikes:
        prefix = f"[{look_alike.disease_id}] " if look_alike.disease_id else ""
        lines.append(f"  - {prefix}{' '.join(look_alike.sentences)}")
    lines += ["", words["sources"], *(f"  - {source}" for source in disease.sources)] if disease.sources else []
    lines += ["", f"{words['unverified']}{colon}{', '.join(disease.unverified)}"] if disease.unverified else []
    return "\n".join(lines)


def search(catalogue: Catalogue, words: Iterable[str]) -> list[Disease]:
    """Return the identities whose names, ids, agents, crops or EPPO codes contain every word, accents apart."""
    wanted = [fold(part) for word in words for part in word.split()]
    found = []
    for disease in catalogue.diseases.values():
        crop = catalogue.crop_of(disease)
        crop_names = (*crop.name.values(), *crop.also, crop.scientific) if crop else ()
        names = (*disease.name.values(), *disease.also, *disease.alone, *disease.agents, *disease.eppo)
        haystack = fold(" ".join((disease.disease_id, *names, *crop_names)))
        if all(word in haystack for word in wanted):
            found.append(disease)
    return found


def export(path: Path, diseases: Iterable[Disease], catalogue: Catalogue) -> int:
    """Write identities as .csv (one row per identity and language), .json or .yaml; return how many identities.

    Raises:
        ConfigError: another suffix.
    """
    rows = [entry_row(disease, catalogue) for disease in diseases]
    if path.suffix == ".json":
        write_text(path, json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
    elif path.suffix == ".yaml":
        write_text(path, yaml.safe_dump(rows, allow_unicode=True, sort_keys=False, width=120))
    elif path.suffix == ".csv":
        write_bytes(path, _as_csv(rows).encode("utf-8-sig"))
    else:
        choices = ", ".join(EXPORT_SUFFIXES)
        raise ConfigError(
            tr(f"--output-file {path} has another suffix", f"--output-file {path} a une autre extension"),
            tr(f"end its name in {choices}", f"terminez son nom par {choices}"),
        )
    return len(rows)


def entry_row(disease: Disease, catalogue: Catalogue) -> dict[str, Any]:
    """Return one identity as plain JSON-able values."""
    crop = catalogue.crop_of(disease)
    return {
        "id": disease.disease_id,
        "crop": disease.crop_id,
        "crop_name": dict(crop.name) if crop else {},
        "crop_scientific": crop.scientific if crop else "",
        "name": dict(disease.name),
        "also": list(disease.also),
        "alone": list(disease.alone),
        "agents": list(disease.agents),
        "kind": disease.kind,
        "eppo": list(disease.eppo),
        "hosts": list(disease.hosts),
        "text": {tag: _text_row(text) for tag, text in disease.text.items()},
        "sources": list(disease.sources),
        "unverified": list(disease.unverified),
    }


def _text_row(text: LocalText) -> dict[str, Any]:
    return {
        "symptoms": {organ: list(said) for organ, said in text.organs.items()},
        "conditions": list(text.conditions),
        "management": {measure: list(said) for measure, said in text.measures.items()},
        "confused": [{"with": like.disease_id, "tell_apart": list(like.sentences)} for like in text.look_alikes],
    }


def _as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    parts = ("symptoms", "conditions", "cultural", "biological", "chemical", "confused")
    common = ("id", "crop", "kind", "agents", "eppo", "also", "alone", "hosts", "sources", "unverified")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("language", "name", *common, *parts))
    for row in rows:
        shared = ["; ".join(row[name]) if isinstance(row[name], list) else row[name] for name in common]
        for tag, text in row["text"].items():
            measures = [" ".join(text["management"].get(measure, ())) for measure in MEASURES]
            symptoms = " ".join(sentence for said in text["symptoms"].values() for sentence in said)
            confused = " ".join(sentence for like in text["confused"] for sentence in like["tell_apart"])
            said = [symptoms, " ".join(text["conditions"]), *measures, confused]
            writer.writerow([tag, row["name"].get(tag, ""), *shared, *said])
    return out.getvalue()


def _title(disease: Disease, catalogue: Catalogue, tag: str) -> str:
    if tag not in ("fr", "en"):
        return disease.name.get(tag, disease.name["fr"])
    sheet = Sheet(disease.name[tag], catalogue.crop_of(disease), disease.kind, "", (), ())
    return headline(sheet, "en" if tag == "en" else "fr")
