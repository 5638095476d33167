"""What is known of each class: taken from the manifest once, carried by the checkpoint, shown by inference."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from plantset.core.records import Record, Texts

_PHOTO = "photo"  # in `text_source`: a description of that photo alone


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """One class as people know it.

    Attributes:
        class_id: as in the manifest.
        label: as one of the user's folders names it.
        crop, disease, agent, kind: None where the class was matched to no disease.
        texts: language -> what is said of it: the card.
        text_source: field -> "user" or "catalogue".
        mask_terms: names and synonyms that a note must not contain.
        crop_names, disease_names: language -> name, where the catalogue of the training knew them.
        sources: what the catalogue's part of the texts was read from: title, publisher, address.
    """

    class_id: str
    label: str
    crop: str | None = None
    disease: str | None = None
    agent: str | None = None
    kind: str | None = None
    texts: Mapping[str, Texts] = field(default_factory=dict)
    text_source: Mapping[str, str] = field(default_factory=dict)
    mask_terms: tuple[str, ...] = ()
    crop_names: Mapping[str, str] = field(default_factory=dict)
    disease_names: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()


def class_infos(records: Iterable[Record]) -> tuple[ClassInfo, ...]:
    """Return one info per class id in index order, from the first record of each class that speaks of the class.

    A description of one photo is none of its class: where every record has its own, the class has none.
    """
    found: dict[str, Record] = {}
    for record in records:
        known = found.get(record.class_id)
        if known is None or (_PHOTO in known.text_source.values() and _PHOTO not in record.text_source.values()):
            found[record.class_id] = record
    return tuple(_class_info(found[name]) for name in sorted(found))


def _class_info(record: Record) -> ClassInfo:
    own = {field_name.partition(".")[0] for field_name, origin in record.text_source.items() if origin == _PHOTO}
    texts = {
        language: dataclasses.replace(said, description="") if language in own else said
        for language, said in record.texts.items()
    }
    return ClassInfo(
        class_id=record.class_id,
        label=record.label,
        crop=record.crop,
        disease=record.disease,
        agent=record.agent,
        kind=record.kind,
        texts=texts,
        text_source={name: origin for name, origin in record.text_source.items() if origin != _PHOTO},
        mask_terms=record.mask_terms,
    )


def class_info_from_json(row: Mapping[str, Any]) -> ClassInfo:
    """Restore what `dataclasses.asdict` gave, after a round trip through JSON; fields unknown then have defaults."""
    texts = {
        language: Texts(
            text["description"], **{part: tuple(said) for part, said in text.items() if part != "description"}
        )
        for language, text in row["texts"].items()
    }
    known = {spec.name: row[spec.name] for spec in dataclasses.fields(ClassInfo) if spec.name in row}
    lists = {name: tuple(row.get(name, ())) for name in ("mask_terms", "sources")}
    return ClassInfo(**{**known, **lists, "texts": texts})
