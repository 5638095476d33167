"""Everything that is wrong with catalogue files, for those who write them: all problems of all files at once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from plantset.core.errors import DataError
from plantset.core.language import LANGUAGES, tr
from plantset.knowledge.catalogue import built_in_folder, located, reference_problems
from plantset.knowledge.catalogue_entries import LABEL_LINE, read_crop, read_disease
from plantset.knowledge.catalogue_files import RawCatalogue, catalogue_paths, lay_over, read_raw
from plantset.knowledge.masking import disease_mask_terms, mask_note
from plantset.knowledge.names import bag_key, tokenise
from plantset.knowledge.schema import HEALTHY, Catalogue, Crop, Disease, LocalText

_MAX_WORDS = {"en": 22, "fr": 25}
_SENTENCE = re.compile(r"[«“\"(]?\s?[A-ZÀ-ÝŒ0-9].*[.!?…]", re.DOTALL)
_BAD_SPACES = re.compile(r"\s{2}|\s[.,)]|\(\s|^\s|\s$")
_FRENCH_PUNCTUATION = re.compile(r"[^\s\u00a0\u202f:/][;!?:](?=\s|$)")
_UNVERIFIED_PARTS = ("names", "also", "agents", "eppo", "hosts", "symptoms", "conditions", "management", "confused")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found."""

    files: int
    entries: int
    problems: tuple[str, ...]


def check_files(places: Iterable[Path] = ()) -> CheckResult:
    """Check catalogue files against the whole format; without any place, the built-in ones.

    Entries of the built-in catalogue may be referred to; only the given files' entries are judged.

    Raises:
        DataError: a place is not there.
    """
    paths = catalogue_paths(list(places) or [built_in_folder()])
    base = read_raw(catalogue_paths([built_in_folder()]))
    given = read_raw(paths, base.healthy)
    whole, _ = lay_over(base, given, override=True)
    problems = [why for _, why in given.unread]
    for crop_id, entry in given.crops.items():
        problems += [located(entry, why) for why in read_crop(crop_id, entry.row)[1]]
    catalogue = _lenient_catalogue(whole)
    for disease_id, entry in sorted(given.entries.items()):
        crop_id = disease_id.partition("--")[0]
        disease, wrong = read_disease(crop_id, entry.slug, whole.entries[disease_id].row)
        problems += [located(entry, why) for why in (*wrong, *_entry_problems(disease, catalogue))]
    problems += [
        located(given.entries[disease_id], why)
        for disease_id, why in (*_reference_problems(catalogue), *_shared_names(catalogue))
        if disease_id in given.entries
    ]
    return CheckResult(len(paths), len(given.entries), tuple(dict.fromkeys(problems)))


def _lenient_catalogue(raw: RawCatalogue) -> Catalogue:
    """Return what can be read, so that one broken entry does not hide the others' problems."""
    crops: dict[str, Crop] = {crop_id: read_crop(crop_id, entry.row)[0] for crop_id, entry in raw.crops.items()}
    diseases: dict[str, Disease] = {}
    for disease_id, entry in sorted(raw.entries.items()):
        crop_id = disease_id.partition("--")[0]
        diseases[disease_id] = read_disease(crop_id, entry.slug, entry.row)[0]
    return Catalogue(crops, diseases, raw.symbols)


def _reference_problems(catalogue: Catalogue) -> list[tuple[str, str]]:
    try:
        return list(reference_problems(catalogue))
    except DataError as error:
        return [(next(iter(catalogue.diseases)), error.problem)]


def _entry_problems(disease: Disease, catalogue: Catalogue) -> Iterator[str]:
    for tag, text in disease.text.items():
        yield from _name_leaks(disease, text, tag, catalogue)
        for where, sentences in _parts(text).items():
            for sentence in sentences:
                yield from _sentence_problems(f"{where}.{tag}", sentence, tag)
    yield from _unequal_lengths(disease)
    for look_alike in disease.text["en"].look_alikes:
        if look_alike.disease_id == disease.disease_id:
            yield tr("confused with itself", "confondu avec soi-même")
    for part in disease.unverified:
        if part.partition(".")[0] not in _UNVERIFIED_PARTS:
            known = ", ".join(_UNVERIFIED_PARTS)
            yield tr(f"unverified: unknown part {part} (known: {known})", f"unverified : partie inconnue {part}")
    if disease.kind != HEALTHY and not disease.sources and not disease.unverified:
        yield tr("neither sources nor unverified parts", "ni sources ni parties non vérifiées")


def _name_leaks(disease: Disease, text: LocalText, tag: str, catalogue: Catalogue) -> Iterator[str]:
    terms = disease_mask_terms(disease, catalogue)
    for organ, sentences in text.organs.items():
        for sentence in sentences:
            masked, found = mask_note(sentence, terms)
            if found:
                yield tr(
                    f"symptoms.{organ}.{tag}: a name stands in: {masked}",
                    f"symptoms.{organ}.{tag} : un nom se trouve dans : {masked}",
                )


def _sentence_problems(where: str, sentence: str, tag: str) -> Iterator[str]:
    if sentence == LABEL_LINE.get(tag):
        return
    words = len(re.findall(r"[\w'’-]+", sentence))
    if words > _MAX_WORDS.get(tag, max(_MAX_WORDS.values())):
        yield tr(f"{where}: {words} words are too many: {sentence}", f"{where} : {words} mots, c'est trop : {sentence}")
    if tag in LANGUAGES and not _SENTENCE.fullmatch(sentence):
        yield tr(
            f"{where}: no capital first or full stop last: {sentence}",
            f"{where} : ni majuscule au début ou ni point à la fin : {sentence}",
        )
    if _BAD_SPACES.search(sentence) or (tag == "fr" and _FRENCH_PUNCTUATION.search(sentence)):
        yield tr(f"{where}: spaces around marks: {sentence}", f"{where} : espaces autour des signes : {sentence}")


def _unequal_lengths(disease: Disease) -> Iterator[str]:
    english, french = _parts(disease.text["en"]), _parts(disease.text["fr"])
    for where in sorted({*english, *french}):
        count = len(english.get(where, ())), len(french.get(where, ()))
        if count[0] != count[1]:
            yield tr(
                f"{where}: {count[0]} sentences in English, {count[1]} in French",
                f"{where} : {count[0]} phrases en anglais, {count[1]} en français",
            )


def _parts(text: LocalText) -> dict[str, tuple[str, ...]]:
    parts: dict[str, tuple[str, ...]] = {f"symptoms.{organ}": said for organ, said in text.organs.items()}
    parts["conditions"] = text.conditions
    parts |= {f"management.{measure}": said for measure, said in text.measures.items()}
    for number, look_alike in enumerate(text.look_alikes, start=1):
        parts[f"confused.{number}"] = look_alike.sentences
    return parts


def _shared_names(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield (identity, problem) for each name that two identities of one crop, or two `alone`, claim."""
    claims: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for disease in catalogue.diseases.values():
        for name in (*disease.name.values(), *disease.also, *disease.alone):
            claims[disease.crop_id, bag_key(tokenise(name))][disease.disease_id] = name
        for name in disease.alone:
            claims["--", bag_key(tokenise(name))][disease.disease_id] = name
    for (_, key), owners in claims.items():
        if len(owners) < 2 or not key:
            continue
        for disease_id, name in owners.items():
            others = ", ".join(other for other in owners if other != disease_id)
            yield (
                disease_id,
                tr(f"the name {name} is also that of {others}", f"le nom {name} est aussi celui de {others}"),
            )
