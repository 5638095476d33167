"""What is said of each class: the user's own words first, in their own language; the catalogue fills the gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from plantset.core.language import LANGUAGES, Language
from plantset.core.records import Texts
from plantset.knowledge.masking import disease_mask_terms, mask_terms
from plantset.knowledge.matching import LabelMatch, Matcher
from plantset.knowledge.names import bag_key, tokenise
from plantset.knowledge.render import Sheet, capitalise, catalogue_sheet, describe, language_of, organ_of_each, telling
from plantset.knowledge.schema import ANY_CROP, Catalogue, Disease, LocalText
from plantset.knowledge.user_entry import UserEntry

_MIN_TRUNCATED_LENGTH = 20  # names cut by a file system or a spreadsheet are long


@dataclass(frozen=True, slots=True)
class EntryMatch:
    """A user's entry and the identity it was found to mean, on each of the crops it names."""

    entry: UserEntry
    matches: tuple[LabelMatch, ...]

    @property
    def disease_ids(self) -> tuple[str, ...]:
        """Return the identities found, without repeats."""
        return tuple(dict.fromkeys(match.disease_id for match in self.matches if match.disease_id))


@dataclass(frozen=True, slots=True)
class ClassTexts:
    """All that a record says of its class.

    Attributes:
        texts: language -> what is said.
        source: "fr.symptoms" -> "user" or "catalogue".
    """

    texts: dict[str, Texts]
    source: dict[str, str]
    mask_terms: tuple[str, ...]
    crop: str | None = None
    disease: str | None = None
    agent: str | None = None
    kind: str | None = None


@dataclass
class EntryIndex:
    """The user's entries by identity and by name."""

    by_id: dict[str, list[UserEntry]] = field(default_factory=dict)
    by_name: dict[str, list[EntryMatch]] = field(default_factory=dict)
    long_names: list[tuple[str, EntryMatch]] = field(default_factory=list)

    def named(self, label: str) -> EntryMatch | None:
        """Return the one entry that bears exactly this name, or of which a long label is the cut-off start."""
        same = self.by_name.get(bag_key(tokenise(label)), [])
        if len(same) == 1:
            return same[0]
        start = " ".join(label.lower().split())
        if same or len(start) < _MIN_TRUNCATED_LENGTH:
            return None
        longer = [match for name, match in self.long_names if name.startswith(start)]
        return longer[0] if len(longer) == 1 else None


def match_entries(entries: Iterable[UserEntry], matcher: Matcher) -> list[EntryMatch]:
    """Match each entry by its name, crops and agent; an entry for several crops is split by crop."""
    matched = []
    for entry in entries:
        crops = list(dict.fromkeys(crop for name in entry.crops if (crop := matcher.find_crop(name))))
        if not crops:
            matches = [matcher.match_entry(entry.name, None, entry.agent)]
        else:
            matches = [matcher.match_entry(entry.name, crop, entry.agent) for crop in crops]
        matched.append(EntryMatch(entry, tuple(matches)))
    return matched


def index_entries(matched: Iterable[EntryMatch]) -> EntryIndex:
    """Return the entries ready to be looked up."""
    index = EntryIndex()
    for match in matched:
        for disease_id in match.disease_ids:
            index.by_id.setdefault(disease_id, []).append(match.entry)
        key = bag_key(tokenise(match.entry.name))
        if key:
            index.by_name.setdefault(key, []).append(match)
            index.long_names.append((match.entry.name.lower(), match))
    return index


def known_class_texts(disease: Disease, index: EntryIndex, catalogue: Catalogue, language: str) -> ClassTexts:
    """Return the texts of an identity: the entries for it, then those for its `any--…` form, then the catalogue."""
    entries = [*index.by_id.get(disease.disease_id, ()), *_general_entries(disease, index, catalogue)]
    texts: dict[str, Texts] = {}
    source: dict[str, str] = {}
    for tag in (*LANGUAGES, *_other_languages(entries, disease)):
        users = _merge([entry.texts[tag] for entry in entries if tag in entry.texts])
        texts[tag] = _fill(users, disease, catalogue, tag)
        source |= _sources(tag, users)
    extra_names = [entry.name for entry in entries] + [entry.agent for entry in entries if entry.agent]
    return ClassTexts(
        texts=texts,
        source=source,
        mask_terms=tuple(dict.fromkeys((*disease_mask_terms(disease, catalogue), *mask_terms(extra_names)))),
        crop=None if disease.crop_id == ANY_CROP else disease.crop_id,
        disease=disease.name[language_of(disease.name, language)],
        agent=disease.agent or None,
        kind=disease.kind,
    )


def entry_class_texts(entry: UserEntry) -> ClassTexts:
    """Return the texts of a class that only the user's own file knows."""
    texts: dict[str, Texts] = {}
    source: dict[str, str] = {}
    for tag, said in entry.texts.items():
        known: Language = "fr" if tag == "fr" else "en"
        sheet = Sheet(entry.name, None, "", entry.agent, said.symptoms, said.management)
        description = said.description or describe(sheet, known)
        texts[tag] = replace(said, description=description)
        source |= dict.fromkeys(_sources(tag, texts[tag]), "user")
    return ClassTexts(
        texts=texts,
        source=source,
        mask_terms=mask_terms([entry.name, *entry.crops, *([entry.agent] if entry.agent else [])]),
        disease=entry.name,
        agent=entry.agent or None,
        kind=entry.kind or None,
    )


def _general_entries(disease: Disease, index: EntryIndex, catalogue: Catalogue) -> list[UserEntry]:
    """Return entries for the same cause without crop: what is said of late blight holds for that of tomato."""
    general = catalogue.get(f"{ANY_CROP}--{disease.disease_id.partition('--')[2]}")
    if disease.crop_id == ANY_CROP or general is None or not general.holds_for(disease.crop_id):
        return []
    return index.by_id.get(general.disease_id, [])


def _other_languages(entries: Sequence[UserEntry], disease: Disease) -> list[str]:
    return sorted(({tag for entry in entries for tag in entry.texts} | set(disease.text)) - set(LANGUAGES))


def _merge(texts: Sequence[Texts]) -> Texts:
    """Return the first of each part that is not empty."""
    told = next((said for said in texts if said.symptoms), Texts())
    return Texts(
        description=next((said.description for said in texts if said.description), ""),
        symptoms=told.symptoms,
        management=next((said.management for said in texts if said.management), ()),
        organs=told.organs,
        conditions=next((said.conditions for said in texts if said.conditions), ()),
    )


def _fill(users: Texts, disease: Disease, catalogue: Catalogue, tag: str) -> Texts:
    """Return the user's parts, and the catalogue's in place of those that the user does not have."""
    text = disease.text.get(tag, LocalText({}))
    symptoms = tuple(map(capitalise, users.symptoms))
    told = symptoms or telling(text.symptoms, organ_of_each(text))
    return Texts(
        description=users.description or _description(disease, catalogue, tag, told),
        symptoms=symptoms or text.symptoms,
        management=tuple(map(capitalise, users.management)) or text.management,
        organs=users.organs if symptoms else organ_of_each(text),
        conditions=tuple(map(capitalise, users.conditions)) or text.conditions,
        confused_with=text.confused_with,
    )


def _description(disease: Disease, catalogue: Catalogue, tag: str, told: tuple[str, ...]) -> str:
    if tag in ("fr", "en"):
        language: Language = "fr" if tag == "fr" else "en"
        return describe(replace(catalogue_sheet(disease, catalogue, language), symptoms=told), language)
    name = disease.name.get(tag, "")
    return " ".join((f"{capitalise(name)}.", *told)) if name and told else " ".join(told)


def _sources(tag: str, users: Texts) -> dict[str, str]:
    said = {
        "description": bool(users.description or users.symptoms),
        "symptoms": bool(users.symptoms),
        "management": bool(users.management),
    }
    return {f"{tag}.{part}": "user" if by_user else "catalogue" for part, by_user in said.items()}
