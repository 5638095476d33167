"""Read the JSON of diseases that people really have, and give it one shape.

Understood: a list of objects; name -> fields; name -> text; crop -> entries; everything under one wrapper key; one
object per language; fields in French, English or both; values as text, list, or an object per language, organ or crop;
one object a line (JSON lines). An entry that says something else of each crop is cut into one entry a crop.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plantset.core.errors import DataError
from plantset.core.files import read_text
from plantset.core.language import tr
from plantset.core.records import Texts
from plantset.knowledge.names import tokenise, word_set
from plantset.knowledge.schema import Organ
from plantset.knowledge.user_entry import UserEntry, UserFile

_LANGUAGE_KEYS = {"fr": "fr", "francais": "fr", "french": "fr", "en": "en", "english": "en", "anglai": "en"}
_WRAPPERS = word_set("disease diseases maladie maladies malady data donnees entries fiches items result")
_NOTHING = frozenset(
    {"", "n/a", "-", "–", "?", "non specifie", "non specifiee", "not specified", "a completer", "non disponible"}
    | {"not available", *word_set("none null nan na unknown inconnu inconnue aucun aucune tbd")}
)
# Field -> the ways people write its key, as `_key` reduces it.
_FIELDS = {
    "name": "name nom disease maladie disease_name nom_maladie maladie_nom label titre title classe class "
    "nom_de_la_maladie name_fr name_en nom_fr nom_en disease_fr disease_en maladie_fr maladie_en",
    "crop": "crop culture crops cultures plante plant plants plantes host hosts hote hotes affected_crops "
    "affected_plants cultures_affectees plantes_hotes cultures_touchees espece host_plants crop_name",
    "agent": "agent agent_causal causal_agent cause causes pathogen pathogene agent_pathogene scientific_name "
    "nom_scientifique causal_organism organisme_causal causative_agent",
    "kind": "type kind category categorie pathogen_type type_de_pathogene type_agent",
    "description": "description overview resume summary presentation definition apercu desc text texte",
    "symptoms": "symptoms symptom symptomes symptome signs signes symptoms_on_leaves symptomes_foliaires "
    "symptom_description degats damage damages",
    "development": "evolution development developpement disease_cycle cycle progression",
    "conditions": "favorable_conditions favourable_conditions conditions conditions_favorables season saison "
    "environment saisonnalite climat climate periode",
    "severity": "severity severite gravite gravity",
    "management": "management traitement traitements treatment treatments gestion lutte control controle prevention "
    "recommandations recommendations recommandation solutions solution prevention_methods methodes_de_lutte remedies "
    "nom_de_la_matiere_active_du_produit name_of_active_product_material active_ingredient active_ingredients "
    "matiere_active matieres_actives insecticides fongicides fungicides pesticides biological_control chemical_control "
    "lutte_biologique lutte_chimique cultural_control traitement_chimique traitement_biologique mesures_preventives",
}
_FRENCH_KEYS = word_set("symptomes symptome signes traitement traitements gestion lutte maladie degats")
_TEXT_FIELDS = ("description", "symptoms", "development", "conditions", "management")
_ORGANS: dict[Organ, str] = {
    "leaf": "leaf leaves foliage feuille feuilles feuillage foliaires",
    "stem": "stem stems tige tiges branch branches rameaux tronc trunk twigs",
    "root": "root roots racine racines collar collet",
    "flower": "flower flowers fleur fleurs inflorescence inflorescences",
    "fruit": "fruit fruits pod pods gousses cabosses capsules",
    "grain": "grain grains seed seeds graines semences ears epis panicles panicules",
    "tuber": "tuber tubers tubercule tubercules bulbs bulbes",
    "plant": "plant plante whole_plant plante_entiere general",
}
_ORGAN_OF_KEY = {key: organ for organ, keys in _ORGANS.items() for key in keys.split()}
_FIELD_OF_KEY = {key: field for field, keys in _FIELDS.items() for key in keys.split()}
# A full stop ends a sentence unless it ends an abbreviation: "sp.", "pv.", "P. infestans".
_SENTENCE_END = re.compile(r"\n+|(?<=[.!?…])(?<!\b\w\.)(?<!\b(?:sp|pv|cf)\.)(?<!\b(?:spp|var)\.)\s+|\s*;\s*")
_LANGUAGE_SUFFIX = re.compile(r"_(fr|en)$")
_LANGUAGE_TAG = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")  # BCP 47, as far as people write it
_SEVERAL_CROPS = re.compile(r"\s*[,;/]\s*|\s+(?:et|and|&)\s+")

FindCrop = Callable[[str], str | None]
_Said = tuple[str, str]  # organ or "", text
_FRENCH = frozenset(
    [
        "le",
        "la",
        "les",
        "des",
        "une",
        "un",
        "est",
        "sur",
        "avec",
        "dans",
        "du",
        "et",
        "aux",
        "feuilles",
        "taches",
        "plante",
        "par",
        "pour",
        "ou",
        "qui",
        "se",
    ]
)
_ENGLISH = word_set(
    "the of no without brown yellow black leaf and on with in are is leaves spots plant to by for or that from a an"
)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A JSON object with its keys in order, repeated ones included."""

    items: tuple[tuple[str, Any], ...]

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.items]


def read_user_file(path: Path, find_crop: FindCrop) -> UserFile:
    """Read a user's JSON of diseases.

    Args:
        path: of the file.
        find_crop: returns the crop that a name means, or None: tells crops from organs and diseases among keys.

    Raises:
        DataError: absent, not UTF-8, not JSON (line and column named), or without any entry that has a name.
    """
    root = _parse(path, read_text(path))
    named = [(name, crop, fields, language) for name, crop, fields, language in _entries(root, None, None) if name]
    if not named:
        raise DataError(
            tr(f"{path} has no disease with a name", f"{path} ne contient aucune maladie avec un nom"),
            tr(
                'give a list of objects with "name", or an object of name -> fields',
                "donnez une liste d'objets avec « name » ou « maladie », ou un objet nom -> champs",
            ),
        )
    usual = text_language(" ".join(text for _, _, fields, _ in named for text in _texts(fields))) or "en"
    whole = [_entry(*parts, usual) for parts in named]
    entries = tuple(
        one for entry, parts in zip(whole, named, strict=True) for one in _by_crop(entry, parts, usual, find_crop)
    )
    # Twins by case or spaces are duplicates too: people do not mean two diseases by them.
    seen = Counter((" ".join(entry.name.lower().split()), entry.crops) for entry in entries)
    duplicates = tuple(sorted({name for (name, _), count in seen.items() if count > 1}))
    unknown = Counter(key for entry in whole for key in entry.extra)
    return UserFile(entries, duplicates, dict(sorted(unknown.items())))


def text_language(text: str) -> str | None:
    """Return "fr" or "en" for a text of a few words, None where its words do not tell."""
    words = re.findall(r"[a-zà-ÿ]+", text.lower())
    french = sum(word in _FRENCH for word in words) + 2 * len(re.findall(r"[éèêàçùœ]", text.lower()))
    english = sum(word in _ENGLISH for word in words)
    return None if french == english else "fr" if french > english else "en"


_Named = tuple[str, tuple[str, ...], _Pairs, str | None]


def _parse(path: Path, text: str) -> Any:
    """Return the JSON value; objects one a line are a list."""
    try:
        return json.loads(text, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            lines = [line for line in text.splitlines() if line.strip()]
            try:
                return [json.loads(line, object_pairs_hook=_pairs) for line in lines]
            except json.JSONDecodeError:
                pass  # no JSON lines either: the first error says where the file goes wrong
        raise DataError(
            tr(
                f"{path} is not valid JSON: line {error.lineno} column {error.colno}: {error.msg}",
                f"{path} n'est pas du JSON valide : ligne {error.lineno}, colonne {error.colno} : {error.msg}",
            ),
            tr("mend the file there", "corrigez le fichier à cet endroit"),
        ) from error


def _pairs(pairs: list[tuple[str, Any]]) -> _Pairs:
    return _Pairs(tuple(pairs))


def _entries(node: Any, crop: str | None, language: str | None) -> Iterator[_Named]:
    """Walk any of the known shapes and yield (name, crops, fields, language)."""
    if isinstance(node, list):
        for item in node:
            yield from _entries(item, crop, language)
    elif isinstance(node, _Pairs):
        yield from _object_entries(node, crop, language)


def _object_entries(node: _Pairs, crop: str | None, language: str | None) -> Iterator[_Named]:
    if _is_entry(node):
        yield from _named_entry("", node, crop, language)
        return
    for key, value in node.items:
        tag = _LANGUAGE_KEYS.get(_key(key))
        if tag and isinstance(value, list | _Pairs):
            yield from _entries(value, crop, tag)
        elif _key(key) in _WRAPPERS and isinstance(value, list | _Pairs):
            yield from _entries(value, crop, language)
        elif isinstance(value, str) and not _is_nothing(value):
            yield key, _crops(crop), _Pairs((("description", value),)), language
        elif isinstance(value, _Pairs) and _is_entry_body(value):
            yield from _named_entry(key, value, crop, language)
        elif isinstance(value, list | _Pairs):
            yield from _entries(value, key, language)


def _named_entry(key: str, node: _Pairs, crop: str | None, language: str | None) -> Iterator[_Named]:
    names = [value for field, value in node.items if _field(field) == "name"]
    own = [name for value in names for name in _texts(value)]
    crops = [name for field, value in node.items if _field(field) == "crop" for name in _crop_names(value)]
    name = key or (own[0] if own else "")
    yield name.strip(), tuple(crops) or _crops(crop), node, language


def _crop_names(value: Any) -> Iterator[str]:
    """Yield the crops of "tomate, pomme de terre", of a list, or of an object of crop -> anything."""
    if isinstance(value, _Pairs) and not _is_per_language(value):
        groups = [item for _, item in value.items if isinstance(item, list)]
        yield from (name for group in groups for name in _crop_names(group))
        yield from (key for key, item in value.items if not isinstance(item, list))
        return
    for text in _texts(value):
        yield from (name for name in _SEVERAL_CROPS.split(text) if name)


def _by_crop(entry: UserEntry, parts: _Named, usual: str, find_crop: FindCrop) -> Iterator[UserEntry]:
    """Yield the entry, or one for each crop that it says something of its own of."""
    name, _, fields, language = parts
    texts = [value for field, value in fields.items if _field(field) in _TEXT_FIELDS]
    told = {key for value in texts if _is_per_crop(value, find_crop) for key in value.keys}
    if not told:
        yield entry
        return
    for crop in sorted(told):
        narrowed = _Pairs(tuple((key, _of_crop(value, crop, find_crop)) for key, value in fields.items))
        yield replace(_entry(name, (crop,), narrowed, language, usual), extra=entry.extra)


def _is_per_crop(value: Any, find_crop: FindCrop) -> bool:
    return isinstance(value, _Pairs) and bool(value.items) and all(find_crop(key) for key in value.keys)


def _of_crop(value: Any, crop: str, find_crop: FindCrop) -> Any:
    if not _is_per_crop(value, find_crop):
        return value
    return next((item for key, item in value.items if key == crop), None)


def _entry(name: str, crops: tuple[str, ...], fields: _Pairs, language: str | None, usual: str) -> UserEntry:
    parts: dict[str, dict[str, list[_Said]]] = {}
    extra: dict[str, str] = {}
    agent = kind = ""
    for key, value in fields.items:
        field = _field(key)
        if field == "agent":
            agent = agent or "; ".join(_texts(value))
        elif field == "kind":
            kind = kind or "; ".join(_texts(value))
        elif field in _TEXT_FIELDS:
            for tag, said in _by_language(key, value, language, usual):
                parts.setdefault(tag, {}).setdefault(field, []).extend(said)
        elif field not in ("name", "crop"):
            extra[key] = "; ".join(_texts(value))
    return UserEntry(
        name=" ".join(name.split()),
        crops=crops,
        agent=agent,
        kind=kind,
        texts={tag: _make_texts(found) for tag, found in parts.items()},
        extra=extra,
    )


def _make_texts(found: dict[str, list[_Said]]) -> Texts:
    told = [(organ, sentence) for organ, text in found.get("symptoms", []) for sentence in _sentences([text])]
    told += [("", sentence) for _, text in found.get("development", []) for sentence in _sentences([text])]
    told = list({sentence: (organ, sentence) for organ, sentence in reversed(told)}.values())[::-1]
    organs = tuple(organ or "plant" for organ, _ in told) if any(organ for organ, _ in told) else ()
    return Texts(
        description=" ".join(text for _, text in found.get("description", ())),
        symptoms=tuple(sentence for _, sentence in told),
        management=tuple(_sentences([text for _, text in found.get("management", [])])),
        organs=organs,
        conditions=tuple(_sentences([text for _, text in found.get("conditions", [])])),
    )


def _by_language(key: str, value: Any, language: str | None, usual: str) -> Iterator[tuple[str, list[_Said]]]:
    """Yield (language, texts) of a field: told by its own keys, those above it, its words, its key, else the file."""
    if isinstance(value, _Pairs) and _is_per_language(value):
        for name, inner in value.items:
            yield _LANGUAGE_KEYS.get(_key(name), name.strip()), list(_said(inner))
        return
    said = list(_said(value))
    if said:
        suffix = _LANGUAGE_SUFFIX.search(_key(key))
        words = " ".join(text for _, text in said)
        told = language or (suffix.group(1) if suffix else None) or text_language(words)
        yield told or ("fr" if _key(key) in _FRENCH_KEYS else usual), said


def _said(value: Any) -> Iterator[_Said]:
    """Yield (organ, text): the organ that an object's key names, else ""."""
    if isinstance(value, _Pairs):
        for key, inner in value.items:
            organ = _ORGAN_OF_KEY.get(_key(key), "")
            yield from ((organ or below, text) for below, text in _said(inner))
    elif isinstance(value, list):
        for item in value:
            yield from _said(item)
    else:
        yield from (("", text) for text in _texts(value))


def _is_per_language(node: _Pairs) -> bool:
    """Return whether the keys are languages: one is French or English, the others look like language tags."""
    keys = node.keys
    known = [_key(key) in _LANGUAGE_KEYS for key in keys]
    return any(known) and all(
        is_known or _LANGUAGE_TAG.fullmatch(key.strip()) for key, is_known in zip(keys, known, strict=True)
    )


def _is_entry(node: _Pairs) -> bool:
    """Return whether an object names its own disease."""
    named = any(
        _field(key) == "name" and (not isinstance(value, _Pairs) or _is_per_language(value))
        for key, value in node.items
    )
    return named and _is_entry_body(node)


def _is_entry_body(node: _Pairs) -> bool:
    """Return whether an object's keys are fields rather than names of diseases or crops."""
    known = [_field(key) for key in node.keys]
    return any(known) and not all(isinstance(value, _Pairs) and _is_entry_body(value) for _, value in node.items)


def _field(key: str) -> str | None:
    return _FIELD_OF_KEY.get(_key(key)) or _FIELD_OF_KEY.get(_LANGUAGE_SUFFIX.sub("", _key(key)))


def _key(key: str) -> str:
    """Return a key in lower case, without accents or marks: "Agent causal :" is "agent_causal"."""
    plain = unicodedata.normalize("NFKD", key).encode("ascii", "ignore").decode().lower()
    return "_".join(re.findall(r"[a-z0-9]+", plain))


def _texts(value: Any) -> list[str]:
    """Flatten a value into its texts: an object's keys lead their texts, nothing-words are dropped."""
    if isinstance(value, str):
        return [] if _is_nothing(value) else [re.sub(r"[ \t\xa0]+", " ", value.replace("\r\n", "\n")).strip()]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, _Pairs):
        return [text for _, item in value.items for text in _texts(item)]
    if isinstance(value, bool) or value is None or value != value:  # NaN differs from itself
        return []
    return [str(value)]


def _sentences(texts: Sequence[str]) -> list[str]:
    """Cut texts at line ends, bullets and full stops, so that each is one sentence; repeats go."""
    pieces = [piece for text in texts for piece in _SENTENCE_END.split(text)]
    cleaned = [re.sub(r"^[\s•*–—-]+|^\d+[.)]\s*", "", piece).strip() for piece in pieces]
    return list(dict.fromkeys(piece for piece in cleaned if piece and not _is_nothing(piece)))


def _is_nothing(text: str) -> bool:
    return not text.strip() or " ".join(_key(text).split("_")) in _NOTHING or text.strip().lower() in _NOTHING


def _crops(crop: str | None) -> tuple[str, ...]:
    return (crop,) if crop and tokenise(crop) else ()
