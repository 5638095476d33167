"""Read the JSON of diseases that people really have, and give it one shape.

Understood: a list of objects; name -> fields; name -> text; crop -> entries; everything under one wrapper key; one
object per language; fields in French, English or both; values as text, list, or an object per language, organ or crop.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantset.core.errors import DataError
from plantset.core.files import read_text
from plantset.core.language import tr
from plantset.core.records import Texts
from plantset.knowledge.names import tokenise, word_set
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
    "conditions": "favorable_conditions conditions conditions_favorables season saison environment",
    "severity": "severity severite gravite gravity",
    "management": "management traitement traitements treatment treatments gestion lutte control controle prevention "
    "recommandations recommendations recommandation solutions solution prevention_methods methodes_de_lutte remedies "
    "nom_de_la_matiere_active_du_produit name_of_active_product_material active_ingredient active_ingredients "
    "matiere_active matieres_actives insecticides fongicides fungicides pesticides biological_control chemical_control "
    "lutte_biologique lutte_chimique cultural_control traitement_chimique traitement_biologique mesures_preventives",
}
_FRENCH_KEYS = word_set("symptomes symptome signes traitement traitements gestion lutte maladie degats")
_TEXT_FIELDS = ("description", "symptoms", "development", "management")
_FIELD_OF_KEY = {key: field for field, keys in _FIELDS.items() for key in keys.split()}
# A full stop ends a sentence unless it ends an abbreviation: "sp.", "pv.", "P. infestans".
_SENTENCE_END = re.compile(r"\n+|(?<=[.!?…])(?<!\b\w\.)(?<!\b(?:sp|pv|cf)\.)(?<!\b(?:spp|var)\.)\s+|\s*;\s*")
_LANGUAGE_SUFFIX = re.compile(r"_(fr|en)$")
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


def read_user_file(path: Path) -> UserFile:
    """Read a user's JSON of diseases.

    Raises:
        DataError: absent, not UTF-8, not JSON (line and column named), or without any entry that has a name.
    """
    text = read_text(path)
    try:
        root = json.loads(text, object_pairs_hook=lambda pairs: _Pairs(tuple(pairs)))
    except json.JSONDecodeError as error:
        raise DataError(
            tr(
                f"{path} is not valid JSON: line {error.lineno} column {error.colno}: {error.msg}",
                f"{path} n'est pas du JSON valide : ligne {error.lineno}, colonne {error.colno} : {error.msg}",
            ),
            tr("mend the file there", "corrigez le fichier à cet endroit"),
        ) from error
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
    entries = tuple(_entry(*parts, usual) for parts in named)
    # Twins by case or spaces are duplicates too: people do not mean two diseases by them.
    seen = Counter((" ".join(entry.name.lower().split()), entry.crops) for entry in entries)
    duplicates = tuple(sorted({name for (name, _), count in seen.items() if count > 1}))
    unknown = Counter(key for entry in entries for key in entry.extra)
    return UserFile(entries, duplicates, dict(sorted(unknown.items())))


def text_language(text: str) -> str | None:
    """Return "fr" or "en" for a text of a few words, None where its words do not tell."""
    words = re.findall(r"[a-zà-ÿ]+", text.lower())
    french = sum(word in _FRENCH for word in words) + 2 * len(re.findall(r"[éèêàçùœ]", text.lower()))
    english = sum(word in _ENGLISH for word in words)
    return None if french == english else "fr" if french > english else "en"


_Named = tuple[str, tuple[str, ...], _Pairs, str | None]


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
    crops = [name for field, value in node.items if _field(field) == "crop" for name in _texts(value)]
    name = key or (own[0] if own else "")
    yield name.strip(), tuple(crops) or _crops(crop), node, language


def _entry(name: str, crops: tuple[str, ...], fields: _Pairs, language: str | None, usual: str) -> UserEntry:
    parts: dict[str, dict[str, list[str]]] = {}
    extra: dict[str, str] = {}
    agent = ""
    for key, value in fields.items:
        field = _field(key)
        if field == "agent":
            agent = agent or "; ".join(_texts(value))
        elif field not in ("name", "crop", *_TEXT_FIELDS):
            extra[key] = "; ".join(_texts(value))
        elif field in _TEXT_FIELDS:
            for tag, texts in _by_language(key, value, language, usual):
                parts.setdefault(tag, {}).setdefault(field, []).extend(texts)
    return UserEntry(
        name=" ".join(name.split()),
        crops=crops,
        agent=agent,
        texts={tag: _make_texts(found) for tag, found in parts.items()},
        extra=extra,
    )


def _make_texts(found: dict[str, list[str]]) -> Texts:
    return Texts(
        description=" ".join(found.get("description", ())),
        symptoms=tuple(_sentences(found.get("symptoms", []) + found.get("development", []))),
        management=tuple(_sentences(found.get("management", []))),
    )


def _by_language(key: str, value: Any, language: str | None, usual: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (language, texts) of a field: told by its own keys, those above it, its words, its key, else the file."""
    if isinstance(value, _Pairs) and value.items and all(_key(name) in _LANGUAGE_KEYS for name in value.keys):
        for name, inner in value.items:
            yield _LANGUAGE_KEYS[_key(name)], _texts(inner)
        return
    texts = _texts(value)
    if texts:
        suffix = _LANGUAGE_SUFFIX.search(_key(key))
        told = language or (suffix.group(1) if suffix else None) or text_language(" ".join(texts))
        yield told or ("fr" if _key(key) in _FRENCH_KEYS else usual), texts


def _is_entry(node: _Pairs) -> bool:
    """Return whether an object names its own disease."""
    return any(_field(key) == "name" and not isinstance(value, _Pairs) for key, value in node.items) and _is_entry_body(
        node
    )


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
