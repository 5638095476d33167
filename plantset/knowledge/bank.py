"""The bank: every class's texts, which photos are scored against; class texts only, never a photo's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from plantset.core.language import Language
from plantset.core.records import Record
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.render import Sheet, telling, variants


@dataclass(frozen=True, slots=True)
class BankText:
    """One text of a class; `text_id` is the class and the text's place: `tomato--late-blight#0`."""

    text_id: str
    class_id: str
    text: str


def bank_texts(records: Iterable[Record], language: Language) -> tuple[BankText, ...]:
    """Return every text of every class with its id, sorted by class; see `class_texts`."""
    return tuple(
        BankText(f"{class_id}#{place}", class_id, text)
        for class_id, texts in class_texts(records, language).items()
        for place, text in enumerate(texts)
    )


def class_texts(records: Iterable[Record], language: Language) -> Mapping[str, tuple[str, ...]]:
    """Return class id -> its texts in `language`: its description first, then wordings of the same facts.

    A class without texts is left out; a text's id is its class and its place: `f"{class_id}#{index}"`.
    """
    bank: dict[str, tuple[str, ...]] = {}
    for record in records:
        if record.class_id not in bank:
            texts = _texts(record, language)
            if texts:
                bank[record.class_id] = texts
    return dict(sorted(bank.items()))


def _texts(record: Record, language: Language) -> tuple[str, ...]:
    said = record.texts.get(language)
    own = () if said is None or record.text_source.get(f"{language}.description") == "photo" else (said.description,)
    if said is None:
        return (record.text,) if record.text and record.language == language else ()
    sheet = _sheet(record, language)
    worded = (
        variants(replace(sheet, symptoms=telling(said.symptoms, said.organs), management=said.management), language)
        if sheet
        else ()
    )
    return tuple(dict.fromkeys(text for text in (*own, *worded) if text))


def _sheet(record: Record, language: Language) -> Sheet | None:
    catalogue = load_catalogue()
    disease = catalogue.get(record.disease_id) if record.disease_id else None
    name = disease.name[language] if disease else record.disease
    if not name:
        return None
    crop = catalogue.crop_of(disease) if disease else None
    return Sheet(name, crop, record.kind or "", record.agent or "", (), ())
